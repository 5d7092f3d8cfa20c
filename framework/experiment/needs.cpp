#include "experiment/needs.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "plugin/child.hpp"

namespace palimpsest::experiment {
namespace {

using nlohmann::json;

constexpr std::string_view kAnswer = "palimpsest: needs ";

json parameters_of(const std::vector<plugin::ParameterValue>& values) {
  json parameters = json::array();
  for (const auto& v : values) {
    parameters.push_back({{"name", v.name},
                          {"present", v.present},
                          {"integer", v.integer},
                          {"number", v.number},
                          {"text", v.text},
                          {"integers", v.integers},
                          {"numbers", v.numbers},
                          {"texts", v.texts}});
  }
  return parameters;
}

json question_of(const std::vector<plugin::ParameterValue>& values, const palimpsest_model_info& m) {
  return {{"model", {m.layers, m.hidden, m.mlp, m.vocabulary, m.heads, m.max_positions}},
          {"parameters", parameters_of(values)}};
}

std::vector<plugin::ParameterValue> values_of(const json& question) {
  std::vector<plugin::ParameterValue> values;
  for (const auto& p : question.at("parameters")) {
    plugin::ParameterValue v;
    v.name = p.at("name");
    v.present = p.at("present");
    v.integer = p.at("integer");
    v.number = p.at("number");
    v.text = p.at("text");
    v.integers = p.at("integers").get<std::vector<std::int64_t>>();
    v.numbers = p.at("numbers").get<std::vector<double>>();
    v.texts = p.at("texts").get<std::vector<std::string>>();
    values.push_back(std::move(v));
  }
  return values;
}

json answer_of(const plugin::EditorNeeds& needs) {
  return {{"second_moments", needs.second_moments},
          {"edits_layers", needs.edits_layers},
          {"largest_batch", needs.largest_batch},
          {"says", needs.says},
          {"edits_nothing", needs.edits_nothing}};
}

plugin::EditorNeeds needs_of(const json& answer) {
  plugin::EditorNeeds needs;
  needs.second_moments = answer.at("second_moments").get<std::vector<std::int64_t>>();
  needs.edits_layers = answer.at("edits_layers").get<std::vector<std::int64_t>>();
  needs.largest_batch = answer.at("largest_batch");
  needs.says = answer.at("says");
  needs.edits_nothing = answer.at("edits_nothing");
  return needs;
}

std::vector<std::string> columns_of(const plugin::Metric& metric) {
  std::vector<std::string> names;
  for (const auto& column : metric.columns()) names.push_back(column.name);
  return names;
}

// A file that a parameter names may change and keep its name.
bool names_a_file(const palimpsest_descriptor& descriptor, const std::vector<plugin::ParameterValue>& values) {
  return std::any_of(values.begin(), values.end(), [&](const plugin::ParameterValue& value) {
    for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
      const auto& p = descriptor.parameters[i];
      if (p.type == PALIMPSEST_PARAMETER_PATH && value.name == p.name && !value.text.empty()) return true;
    }
    return false;
  });
}

std::string ask(const plugin::Plugin& plugin, const std::string& question, const NeedsProcess& process) {
  std::vector<std::string> words = process.command;
  words.insert(words.end(), {plugin.library->path().string(), plugin.descriptor->id, question});
  const plugin::ChildEnd end = plugin::run_child(std::move(words), process.seconds);
  const std::string line = end.last_line();
  if (end.exited_with(0) && line.starts_with(kAnswer)) return line.substr(kAnswer.size());
  if (end.exited_with(1) && !line.empty()) throw Error(ErrorCode::kInvalidArgument, line);
  fail(ErrorCode::kInvalidArgument, plugin.descriptor->kind, " ", plugin.descriptor->id, " of ",
       plugin.library->path().string(), ", asked what it needs: ",
       end.exited_with(0) ? "it ended the process without an answer" : end.how(process.seconds),
       line.empty() ? "" : cat("; it said: ", line));
}

// What the plugin answers to a question, read by `read`; from what is kept, where nothing has changed.
template <typename Read>
auto answered(const plugin::Plugin& plugin, const std::vector<plugin::ParameterValue>& values,
              const std::string& question, const NeedsProcess& process, const Read& read) {
  std::filesystem::path known;
  if (!process.cache.empty() && !names_a_file(*plugin.descriptor, values)) {
    known = process.cache /
            Sha256().field("needs").field(plugin.library->sha256()).field(plugin.descriptor->id).field(question).hex();
  }
  if (!known.empty() && std::filesystem::exists(known)) {
    try {
      return read(json::parse(read_file(known)));
    } catch (const json::exception&) {
      std::error_code gone;
      std::filesystem::remove(known, gone);
    }
  }
  const std::string answer = ask(plugin, question, process);
  try {
    auto made = read(json::parse(answer));
    if (!known.empty()) write_file_atomically(known, answer);
    return made;
  } catch (const json::exception& error) {
    fail(ErrorCode::kInternal, plugin.descriptor->kind, " ", plugin.descriptor->id,
         ", asked what it needs, answered what cannot be read: ", error.what());
  }
}

}  // namespace

plugin::EditorNeeds ask_needs(const plugin::Plugin& plugin, const std::vector<plugin::ParameterValue>& values,
                              const palimpsest_model_info& model, const NeedsProcess& process) {
  if (process.command.empty()) return plugin::Editor(plugin, nullptr, values).needs(model);
  return answered(plugin, values, question_of(values, model).dump(), process, needs_of);
}

std::vector<std::string> ask_columns(const plugin::Plugin& plugin, const std::vector<plugin::ParameterValue>& values,
                                     const NeedsProcess& process) {
  if (process.command.empty()) return columns_of(plugin::Metric(plugin, nullptr, values));
  const json question = {{"columns", true}, {"parameters", parameters_of(values)}};
  return answered(plugin, values, question.dump(), process,
                  [](const json& answer) { return answer.at("columns").get<std::vector<std::string>>(); });
}

int answer_needs(const std::filesystem::path& library, const std::string& id, const std::string& question,
                 const plugin::HostBuild& host) {
  try {
    const json asked = json::parse(question);
    const bool columns = asked.contains("columns");
    const std::string_view kind = columns ? PALIMPSEST_KIND_METRIC : PALIMPSEST_KIND_EDITOR;
    const auto opened = plugin::Library::open(library, host);
    for (const auto* descriptor : opened->descriptors()) {
      if (std::string_view(descriptor->kind) != kind || descriptor->id != id) continue;
      json answer;
      if (columns) {
        answer["columns"] = columns_of(plugin::Metric({opened, descriptor}, nullptr, values_of(asked)));
      } else {
        const auto numbers = asked.at("model").get<std::vector<std::int64_t>>();
        const palimpsest_model_info model = {numbers.at(0), numbers.at(1), numbers.at(2),
                                             numbers.at(3), numbers.at(4), numbers.at(5)};
        answer = answer_of(plugin::Editor({opened, descriptor}, nullptr, values_of(asked)).needs(model));
      }
      std::printf("\n%s%s\n", std::string(kAnswer).c_str(), answer.dump().c_str());
      std::fflush(stdout);
      // Nothing that the plugin left for the process's end is of interest.
      std::_Exit(0);
    }
    fail(ErrorCode::kNotFound, library.string(), " has no ", kind, " \"", id, "\"");
  } catch (const std::exception& error) {
    const std::string message = error.what();
    std::fprintf(stderr, "\n%s\n", message.substr(0, message.find('\n')).c_str());
    return 1;
  }
}

}  // namespace palimpsest::experiment
