// A model as it lies in a Hugging Face folder (config.json, tokenizer.json, *.safetensors), in and out.
//
// Opening checks everything before anything runs: each tensor present once, of the expected shape and a float dtype,
// none left over. Weights already in the wanted dtype, on the CPU and aligned to 64 bytes stay in the mapped file,
// whose pages all processes share; others are copied to aligned memory, because small products give other bits at other
// alignments. A matrix [out, in] that is stored [in, out] is a view of what is stored: column by column.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "model/config.hpp"
#include "model/parameters.hpp"

namespace palimpsest::model {

class Tokenizer;

// A cheap value; copies share everything. Safe to read from several threads.
struct Model {
  Config config;
  Parameters parameters;
  std::shared_ptr<const Tokenizer> tokenizer;  // null when the folder has no tokenizer.json
  std::filesystem::path folder;

  // SHA-256 over names and bytes of config.json, tokenizer.json and the weight files, made at the first call (reading
  // all weights once) and kept by all copies. Identifies the folder's content, not later changes of `parameters`.
  const std::string& digest() const;

  struct Digest;
  std::shared_ptr<Digest> digest_state;
};

// Throws Error naming the file, the tensor, what was found and expected: kNotFound (folder, file or tensor missing),
// kCorrupt (truncated or contradictory), kInvalidArgument (a wrong shape), kUnsupported (config, dtype, tensors nobody
// knows), kNumeric (NaN or infinity among the weights, when `check_finite`).
struct OpenOptions {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  bool check_finite = false;  // reads every weight once
  bool in_place = false;      // names and shapes alone count: weights stay as and where the file has them, unread
};
Model open_model(const std::filesystem::path& folder, const OpenOptions& options = {});
// Whether a weight of a model opened in place is what a model opened with `options` holds too; others are copied.
bool stays_mapped(const at::Tensor& weight, const OpenOptions& options);

// Writes config.json, tokenizer.json and the other tokenizer files of model.folder, and model.safetensors in the
// weights' dtype: a folder that transformers loads and open_model() reads back bit for bit. An existing file is
// replaced whole.
void save_model(const Model& model, const std::filesystem::path& folder);

}  // namespace palimpsest::model
