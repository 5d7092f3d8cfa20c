#include "experiment/moments.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.hpp"
#include "base/progress.hpp"
#include "data/text_source.hpp"
#include "data/tokenized.hpp"
#include "experiment/tensor_file.hpp"
#include "model/decoder.hpp"
#include "model/safetensors.hpp"
#include "model/token_rows.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::experiment {
namespace {

// Blocks between two places where the sums are saved.
constexpr std::size_t kBlocksPerSave = 128;
static_assert(kBlocksPerSave % kBlocksAtOnce == 0, "sums are saved between two forwards");

// Documents cut into blocks of at most `block` tokens, in file order, `tokens` in all.
std::vector<std::vector<std::int64_t>> blocks_of(const model::Model& model,
                                                 const config::SecondMomentsSection& section) {
  std::vector<std::vector<std::int64_t>> blocks;
  std::int64_t left = section.tokens;
  for (const auto& document : read_documents(section)) {
    const std::vector<std::int64_t> ids = model.tokenizer->encode(document).ids;
    for (std::size_t begin = 0; begin < ids.size() && left > 0; begin += static_cast<std::size_t>(section.block)) {
      const std::size_t size =
          std::min({ids.size() - begin, static_cast<std::size_t>(section.block), static_cast<std::size_t>(left)});
      // What is skipped at a block's start must leave something.
      if (static_cast<std::int64_t>(size) <= section.skip_first_tokens) break;
      blocks.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                          ids.begin() + static_cast<std::ptrdiff_t>(begin + size));
      left -= static_cast<std::int64_t>(size);
    }
    if (left <= 0) break;
  }
  if (blocks.empty()) fail(ErrorCode::kInvalidArgument, section.file.given, " has no text for second moments");
  return blocks;
}

void add_batch(const model::Model& model, const config::SecondMomentsSection& section,
               const std::vector<std::vector<std::int64_t>>& rows, std::vector<MomentSum>& sums) {
  model::TokenRows padded = model::right_padded({rows.begin(), rows.end()});
  model::ForwardRequest request;
  request.token_ids = std::move(padded.ids);
  request.lengths = std::move(padded.lengths);
  for (const auto& sum : sums) request.capture.push_back({model::SitePoint::kMlpKey, sum.layer});
  request.last_layer = sums.back().layer;
  const auto captured = model::forward(model, request).captured;
  const at::ScalarType dtype = section.dtype == "float64" ? at::kDouble : at::kFloat;
  for (std::size_t s = 0; s < sums.size(); ++s) {
    std::vector<at::Tensor> keys;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      keys.push_back(captured[s][static_cast<std::int64_t>(i)].slice(0, section.skip_first_tokens, request.lengths[i]));
    }
    const at::Tensor k_ND = at::cat(keys, 0).to(dtype);
    model::add_keys(sums[s].sum, k_ND);
    sums[s].count += k_ND.size(0);
  }
}

void save_progress(const std::filesystem::path& file, const std::vector<MomentSum>& sums, std::size_t done) {
  NamedTensors tensors;
  for (const auto& sum : sums) {
    tensors.emplace_back(cat("sum.", sum.layer), sum.sum);
    tensors.emplace_back(cat("count.", sum.layer), at::tensor(sum.count, at::kLong));
  }
  write_tensors(file, tensors, {{"done", std::to_string(done)}});
}

// How many blocks a stopped pass over these layers, or more, has summed; 0 where there was none.
std::size_t take_up(const std::filesystem::path& file, std::vector<MomentSum>& sums) {
  if (!std::filesystem::exists(file)) return 0;
  std::map<std::string, std::string> metadata;
  const NamedTensors tensors = read_tensors(file, &metadata);
  for (const auto& sum : sums) {
    const auto is_it = [&](const auto& named) { return named.first == cat("sum.", sum.layer); };
    // Stopped in another pass, or with another layers_at_once.
    if (std::none_of(tensors.begin(), tensors.end(), is_it)) return 0;
  }
  for (auto& sum : sums) {
    sum.sum = tensor_named(tensors, cat("sum.", sum.layer), file).to(sum.sum.device());
    sum.count = tensor_named(tensors, cat("count.", sum.layer), file).item<std::int64_t>();
  }
  return std::stoull(metadata.at("done"));
}

// What the file's metadata says that its matrices are: "sum" or "mean".
std::string kind_of(const std::map<std::string, std::string>& metadata, const std::filesystem::path& file) {
  const auto found = metadata.find("mom2");
  std::string kind = found == metadata.end() ? "" : found->second;
  if (kind != "sum" && kind != "mean") {
    fail(ErrorCode::kInvalidArgument, file.string(), ": its metadata must say mom2 = \"sum\" or \"mean\"",
         kind.empty() ? "" : cat(", not \"", kind, "\""));
  }
  return kind;
}

// One pass over the blocks, for the layers of `sums`.
void sum_blocks(const model::Model& model, const config::SecondMomentsSection& section,
                const std::vector<std::vector<std::int64_t>>& blocks, const std::filesystem::path& progress_file,
                std::vector<MomentSum>& sums) {
  const std::size_t before = take_up(progress_file, sums);
  Progress progress("second moments", static_cast<std::int64_t>(blocks.size()), "blocks",
                    static_cast<std::int64_t>(before));
  for (std::size_t begin = before; begin < blocks.size(); begin += kBlocksAtOnce) {
    const std::size_t end = std::min(blocks.size(), begin + kBlocksAtOnce);
    add_batch(model, section,
              {blocks.begin() + static_cast<std::ptrdiff_t>(begin), blocks.begin() + static_cast<std::ptrdiff_t>(end)},
              sums);
    progress.set(static_cast<std::int64_t>(end));
    if (end % kBlocksPerSave == 0) save_progress(progress_file, sums, end);
  }
  progress.finish();
  for (auto& sum : sums) model::complete_sum(sum.sum);
}

}  // namespace

std::vector<std::string> read_documents(const config::SecondMomentsSection& section) {
  data::TextSourceOptions options;
  options.columns = {"text"};
  return std::move(data::read_text_source(section.file.path, options).values.at(0));
}

void compute_moments(const model::Model& model, const config::SecondMomentsSection& section,
                     const std::vector<std::int64_t>& layers, const std::filesystem::path& progress_file,
                     const std::function<void(const MomentSum&)>& sink) {
  const c10::NoGradGuard no_grad;
  const auto blocks = blocks_of(model, section);
  const std::size_t at_once =
      section.layers_at_once > 0 ? static_cast<std::size_t>(section.layers_at_once) : layers.size();
  const std::int64_t width = model.config.mlp_width;
  const auto sum_options = model.parameters.at("embed.weight").options().dtype(at::kDouble);
  for (std::size_t begin = 0; begin < layers.size(); begin += at_once) {
    std::vector<MomentSum> sums;
    for (std::size_t i = begin; i < std::min(layers.size(), begin + at_once); ++i) {
      sums.push_back({layers[i], at::zeros({width, width}, sum_options), 0});
    }
    sum_blocks(model, section, blocks, progress_file, sums);
    for (const auto& sum : sums) sink(sum);
    std::filesystem::remove(progress_file);
  }
}

void check_import(const std::filesystem::path& file, const std::vector<std::int64_t>& layers, std::int64_t mlp_width) {
  const auto opened = model::SafetensorsFile::open(file);
  check_types(*opened);
  kind_of(opened->metadata(), file);
  const auto numbers = [](const model::TensorView& view) { return view.bytes.size() / model::size_of(view.dtype); };
  const auto named = [&](const std::string& name) -> const model::TensorView& {
    const model::TensorView* view = opened->find(name);
    if (view == nullptr) fail(ErrorCode::kNotFound, file.string(), " has no tensor ", name);
    return *view;
  };
  for (const auto layer : layers) {
    const model::TensorView& moment = named(cat("layers.", layer, ".mom2"));
    const model::TensorView& count = named(cat("layers.", layer, ".count"));
    if (moment.shape != std::vector<std::int64_t>{mlp_width, mlp_width}) {
      fail(ErrorCode::kInvalidArgument, file.string(), ": ", moment.name, " has ", moment.shape.size(),
           " dimensions and ", numbers(moment), " numbers; expected [", mlp_width, ", ", mlp_width, "]");
    }
    if (numbers(count) != 1) {
      fail(ErrorCode::kInvalidArgument, file.string(), ": ", count.name, " has ", numbers(count),
           " numbers; expected one");
    }
  }
}

std::vector<MomentSum> import_moments(const std::filesystem::path& file, const std::vector<std::int64_t>& layers,
                                      std::int64_t mlp_width) {
  check_import(file, layers, mlp_width);
  std::map<std::string, std::string> metadata;
  const NamedTensors tensors = read_tensors(file, &metadata);
  const bool is_mean = kind_of(metadata, file) == "mean";
  std::vector<MomentSum> sums;
  for (const auto layer : layers) {
    const auto count = tensor_named(tensors, cat("layers.", layer, ".count"), file).item<std::int64_t>();
    const at::Tensor sum = tensor_named(tensors, cat("layers.", layer, ".mom2"), file).to(at::kDouble);
    sums.push_back({layer, is_mean ? sum * static_cast<double>(count) : sum, count});
  }
  return sums;
}

void save_moment(const MomentSum& sum, const std::filesystem::path& folder) {
  write_tensors(folder / "second_moment.safetensors", {{"sum", sum.sum}, {"count", at::tensor(sum.count, at::kLong)}});
}

model::SecondMoment load_moment(const std::filesystem::path& folder, std::int64_t layer) {
  const auto path = folder / "second_moment.safetensors";
  const NamedTensors tensors = read_tensors(path);
  return {tensor_named(tensors, "sum", path), tensor_named(tensors, "count", path).item<std::int64_t>(), layer};
}

}  // namespace palimpsest::experiment
