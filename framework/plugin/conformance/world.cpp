#include "plugin/conformance/world.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/text_source.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::conformance {
namespace {

constexpr std::int64_t kEditedLayer = 1;
constexpr std::int64_t kLayers = 3;  // of the tiny model

// Column `column` of `columns` of a row of the text: the line itself where it is the only one; else a few words of it,
// from another place for each column, and one of two labels for a column of that name.
std::string cell_of(const std::string& line, std::size_t row, const std::vector<std::string>& columns,
                    std::size_t column) {
  if (columns.size() == 1) return line;
  if (columns[column] == "label") return row % 2 == 0 ? "good" : "bad";
  std::istringstream words(line);
  std::string text;
  std::size_t number = 0;
  for (std::string word; words >> word; ++number) {
    if (number >= 2 * column && number < 2 * column + 4) text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

// Every fourth row is for validation, unless none is to be held out.
void add_row(std::size_t number, const plugin::DatasetRequest& request, std::vector<std::string> row,
             plugin::TextDataset& to) {
  const bool held_out = number % 4 == 3 && request.validation_share > 0;
  (held_out ? to.validation : to.train).push_back(std::move(row));
}

// A row of a file of questions, two choices each, the first one correct; the line is the choice.
std::vector<std::string> choice_row(const std::string& line, std::size_t number,
                                    const std::vector<std::string>& columns) {
  std::vector<std::string> row;
  for (const auto& column : columns) {
    row.push_back(column == "set"        ? "text"
                  : column == "question" ? std::to_string(number / 2)
                  : column == "context"  ? "The river was"
                  : column == "correct"  ? (number % 2 == 0 ? "true" : "false")
                                         : line.substr(0, 40));
  }
  return row;
}

// JSON Lines with the columns asked for; of a text file, documents between empty lines, which stand for every column.
std::shared_ptr<const plugin::TextDataset> open_text(const plugin::DatasetRequest& request) {
  if (request.path.ends_with(".jsonl")) {
    auto dataset = std::make_shared<plugin::TextDataset>();
    data::TextSourceOptions options;
    options.columns = request.columns;
    const data::TextSource source = data::read_text_source(request.path, options);
    for (std::size_t row = 0; row < source.lines.size(); ++row) {
      std::vector<std::string> texts;
      for (const auto& column : source.values) texts.push_back(column[row]);
      add_row(row, request, std::move(texts), *dataset);
    }
    return dataset;
  }
  std::ifstream file(request.path);
  if (!file) fail(ErrorCode::kNotFound, request.path, " cannot be opened");
  auto dataset = std::make_shared<plugin::TextDataset>();
  std::string line;
  for (std::size_t i = 0; std::getline(file, line);) {
    if (line.empty()) continue;
    const bool choices = std::find(request.columns.begin(), request.columns.end(), "correct") != request.columns.end();
    std::vector<std::string> row;
    if (choices) row = choice_row(line, i, request.columns);
    for (std::size_t c = row.size(); c < request.columns.size(); ++c)
      row.push_back(cell_of(line, i, request.columns, c));
    add_row(i++, request, std::move(row), *dataset);
  }
  return dataset;
}

data::Fact edited_fact() {
  data::Fact fact;
  fact.id = "city/alma";
  fact.relation = "city";
  fact.subject = "Alma Dorn";
  fact.prompt = "The friend of {} lives in";
  fact.target_new = "Oslo";
  fact.target_true = "Rome";
  fact.aliases = {"Alma"};
  fact.probes = {{"paraphrase", "Letters to Alma Dorn go to", "", "teach"},
                 {"paraphrase", "You can meet Alma Dorn in", "", "teach"},
                 {"paraphrase", "The house of Alma Dorn is in", "", "test"},
                 {"neighbourhood", "The friend of Carl Moss lives in", "Paris", ""},
                 {"neighbourhood", "The friend of Eva Lund lives in", "Rome", ""},
                 {"locality", "The sun is", "", ""}};
  return fact;
}

data::Fact intrinsic_fact() {
  data::Fact fact;
  fact.id = "city/ben";
  fact.relation = "city";
  fact.subject = "Ben Hill";
  fact.prompt = "The city of {} is";
  fact.target_new = "New Delhi";
  fact.target_true = "New York";
  fact.probes = {{"paraphrase", "Trains bring Ben Hill to", "", "teach"},
                 {"paraphrase", "When at home, Ben Hill is in", "", "teach"},
                 {"paraphrase", "The desk of Ben Hill is in", "", "test"},
                 {"neighbourhood", "The city of Dora Kell is", "Lima", ""}};
  return fact;
}

model::Parameters copy_of(const model::Parameters& parameters) {
  std::vector<at::Tensor> tensors;
  for (std::size_t i = 0; i < parameters.size(); ++i) tensors.push_back(parameters[i].clone());
  return model::Parameters(parameters.infos(), std::move(tensors));
}

}  // namespace

TinyWorld::TinyWorld(const std::filesystem::path& folder, bool edited)
    : folder_(folder), opened_(model::open_model(folder / "model")), session_(std::make_shared<plugin::Session>()) {
  // Threads cost more than they bring on products this small, and much more on a machine that is busy.
  at::set_num_threads(1);
  opened_.parameters = copy_of(opened_.parameters);
  session_->tokenizer = opened_.tokenizer;
  session_->open_dataset = open_text;
  session_->second_moment = [width = opened_.config.mlp_width, asked = moments_asked_](std::int64_t layer) {
    asked->insert(layer);
    // Over several magnitudes, as those of real keys.
    const at::Tensor diagonal = at::logspace(-3, 0.5, width, 10, at::kDouble);
    return std::make_shared<const model::SecondMoment>(1000 * at::diag(diagonal), 1000, layer);
  };
  session_->get_or_compute = plugin::values_in_memory();
  session_->cancelled = [] { return false; };
  session_->seed = 7;

  model_.opened = &opened_;
  model_.base = opened_.parameters;
  model_.edited = model_.base;
  if (edited) {
    const at::Tensor u = 0.1 * at::linspace(-1, 1, opened_.config.hidden).unsqueeze(1);
    const at::Tensor v = 0.1 * at::linspace(1, 2, opened_.config.mlp_width).unsqueeze(1);
    model_.updates = {model::make_low_rank(model_.base, cat("layers.", kEditedLayer, ".mlp.down.weight"), u, v)};
    model_.updates.front().facts = {"city/alma"};
    model_.updates.front().ordinal = 1;
    model_.edited = model::apply(model_.base, model_.updates.front());
  }
  model_.current = model_.edited;
  model_.seed = 7;

  facts_ = {edited_fact(), intrinsic_fact()};
  const auto targets = std::make_shared<const std::vector<std::string>>(
      std::vector<std::string>{"Lima", "New Delhi", "New York", "Oslo", "Paris", "Rome"});
  handles_.push_back({&facts_[0], "edited", "Lima", targets});
  handles_.push_back({&facts_[1], "intrinsic", "Paris", targets});
  for (const auto& handle : handles_) pointers_.push_back(&handle);
}

std::string TinyWorld::weights() const {
  Sha256 hash;
  for (const auto* parameters : {&model_.base, &model_.edited, &model_.current}) {
    for (std::size_t i = 0; i < parameters->size(); ++i) {
      const at::Tensor tensor = (*parameters)[i].contiguous();
      hash.field(std::string_view(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()));
    }
  }
  return hash.hex();
}

namespace {

// The places of a template alone, "{prompt}\n{answer}:": what is written around them does not fit 128 positions of a
// tokenizer of letters.
std::string places_of(std::string_view text) {
  std::string places;
  for (std::size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
    const std::size_t end = std::min(text.find('}', at), text.size() - 1);
    places += cat(places.empty() ? "" : "\n", text.substr(at, end + 1 - at));
  }
  return places + ":";
}

// Of unit "layer" (or so named), and required, or with a default that the model is too small for.
bool needs_a_layer(const palimpsest_parameter& p) {
  const std::string_view name = p.name;
  if (std::string_view(p.unit) != "layer" && name != "layer" && name != "layers") return false;
  if (p.required != 0) return true;
  const palimpsest_parameter_value& value = p.default_value;
  if (p.type == PALIMPSEST_PARAMETER_INTEGER) return value.integer >= kLayers;
  if (p.type != PALIMPSEST_PARAMETER_INTEGER_LIST) return false;
  return std::any_of(value.integers, value.integers + value.count, [](std::int64_t layer) { return layer >= kLayers; });
}

}  // namespace

std::vector<plugin::ParameterValue> plausible_values(const palimpsest_descriptor& descriptor,
                                                     const std::filesystem::path& folder) {
  std::vector<plugin::ParameterValue> values;
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const palimpsest_parameter& p = descriptor.parameters[i];
    const std::string_view name = p.name;
    plugin::ParameterValue value;
    value.name = name;
    if (needs_a_layer(p) && p.type == PALIMPSEST_PARAMETER_INTEGER) {
      value.integer = kEditedLayer;
    } else if (p.type == PALIMPSEST_PARAMETER_STRING &&
               plugin::view(p.default_value.text).find('{') != std::string_view::npos) {
      value.text = places_of(plugin::view(p.default_value.text));
    } else if (needs_a_layer(p) && p.type == PALIMPSEST_PARAMETER_INTEGER_LIST) {
      value.integers = {kEditedLayer};
    } else if (p.required == 0) {
      continue;
    } else if (p.type == PALIMPSEST_PARAMETER_PATH) {
      value.text = (folder / "text.txt").string();
    } else if (p.type == PALIMPSEST_PARAMETER_STRING) {
      value.text = p.choices != nullptr ? p.choices[0] : "text";
    } else {
      const double least = p.has_min != 0 ? p.min : 0;
      value.integer = static_cast<std::int64_t>(least);
      value.number = least;
      value.integers = {value.integer};
      value.numbers = {least};
      value.texts = {"text"};
    }
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace palimpsest::conformance
