// The model families that can be opened. A family is data: how its config.json reads as a Config, and what its tensors
// are called; the decoder never asks which family it runs.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "model/architectures/fields.hpp"
#include "model/config.hpp"

namespace palimpsest::model {

// "{}" stands for the layer. `transposed`: stored [in, out], as GPT-2's Conv1D.
struct TensorName {
  std::string_view canonical;
  std::string_view stored;
  bool transposed = false;
};

struct Architecture {
  std::string_view model_type;
  std::string_view summary;
  // Fills all but architecture and json.
  Config (*read)(Fields& fields);
  std::span<const TensorName> tensors;
  // Endings of stored names that are no weights: tables that the runtime computes itself.
  std::span<const std::string_view> buffers;
};

std::span<const Architecture* const> architectures();

// Throws kUnsupported with "did you mean" and what is available.
const Architecture& find_architecture(std::string_view model_type, std::string_view origin);

// The rule for a canonical name such as "layers.3.mlp.up.weight", and the stored name it gives. Throws kInternal when
// the table lacks it: parameter_infos() and the table must agree.
struct StoredName {
  std::string name;
  bool transposed;
};
StoredName stored_name(const Architecture& architecture, std::string_view canonical);

extern const Architecture kLlama;

}  // namespace palimpsest::model
