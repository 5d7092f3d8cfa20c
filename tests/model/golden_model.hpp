// The tiny checkpoints of tests/golden/models and what transformers computed with them.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/architectures/stored.hpp"
#include "model/decoder.hpp"
#include "model/safetensors.hpp"

namespace palimpsest::model {

inline const std::vector<std::string>& golden_names() {
  static const std::vector<std::string> kNames = {"llama_tied", "llama_rope3", "llama_bfloat16", "llama_sharded",
                                                  "gpt2",       "gptj",        "gpt_neox",       "gpt_neox_serial",
                                                  "mistral",    "qwen2",       "qwen3"};
  return kNames;
}

inline std::filesystem::path golden_folder(const std::string& name) {
  return std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "models" / name;
}

class Reference {
 public:
  explicit Reference(const std::string& name)
      : file_(SafetensorsFile::open(golden_folder(name) / "reference.safetensors")) {}

  at::Tensor at(const std::string& name) const {
    const TensorView* view = file_->find(name);
    if (view == nullptr) throw std::runtime_error("the reference has no " + name);
    at::Tensor tensor = at::empty(view->shape, view->dtype == DType::kInt64 ? at::kLong : at::kFloat);
    std::memcpy(tensor.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
    return tensor;
  }

  std::vector<std::int64_t> list(const std::string& name) const {
    const at::Tensor tensor = at(name);
    const std::int64_t* values = tensor.const_data_ptr<std::int64_t>();
    return {values, values + tensor.numel()};
  }

 private:
  std::shared_ptr<const SafetensorsFile> file_;
};

// transformers' gradient of a parameter: the part of a stored tensor's that is its own.
inline at::Tensor reference_gradient(const Reference& reference, const Config& config, const std::string& name) {
  const StoredName stored = stored_name(find_architecture(config.architecture, "test"), name);
  return parameter_of(reference.at("grad." + stored.name), stored, config);
}

inline double max_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  const at::Tensor wanted = b.to(at::kDouble);
  return ((a.to(at::kDouble) - wanted).norm() / wanted.norm()).item<double>();
}

inline bool equal_bits(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() &&
         std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

// The reference's batch as a request that asks for logits at every real position, row after row.
inline ForwardRequest whole_request(const Reference& reference) {
  ForwardRequest request;
  request.token_ids = reference.at("token_ids");
  request.lengths = reference.list("lengths");
  for (std::size_t row = 0; row < request.lengths.size(); ++row) {
    for (std::int64_t t = 0; t < request.lengths[row]; ++t)
      request.logits.push_back({static_cast<std::int64_t>(row), t});
  }
  return request;
}

// The rows of a padded [rows, tokens, ...] tensor at real positions, in the order of whole_request().
inline at::Tensor real_positions(const at::Tensor& padded, const std::vector<std::int64_t>& lengths) {
  std::vector<at::Tensor> parts;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    parts.push_back(padded[static_cast<std::int64_t>(row)].narrow(0, 0, lengths[row]));
  }
  return at::cat(parts);
}

}  // namespace palimpsest::model
