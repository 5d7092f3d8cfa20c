// The model families that can be opened. A family is data: how its config.json reads as a Config, and what its tensors
// are called; the decoder never asks which family it runs.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "model/architectures/fields.hpp"
#include "model/config.hpp"

namespace palimpsest::model {

// How query, key and value share one stored tensor [3 * width, hidden]: all of the query's rows, then the key's, then
// the value's (kStacked, as GPT-2), or head by head that head's query, key and value (kByHead, as GPT-NeoX).
enum class Fused { kNo, kStacked, kByHead };

struct TensorName {
  std::string_view canonical;
  std::string_view stored;  // "{}" stands for the layer
  bool transposed = false;  // stored [in, out], as GPT-2's Conv1D
  Fused fused = Fused::kNo;
  int part = 0;  // of a fused tensor: 0 query, 1 key, 2 value
};

struct Architecture {
  std::string_view model_type;
  std::string_view models;  // whose config.json says so, for people
  std::string_view limits;  // what is refused beyond what is refused of every family; empty: nothing
  // Fills all but architecture and json.
  Config (*read)(Fields& fields);
  std::span<const TensorName> tensors;
  // What the stored names of the decoder begin with. A file may leave it out: it was saved without the head's class.
  std::string_view prefix;
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
  Fused fused;
  int part;
};
StoredName stored_name(const Architecture& architecture, std::string_view canonical);

// The table of docs/models.md: a line a family.
std::string markdown_table();

extern const Architecture kGpt2;
extern const Architecture kGptJ;
extern const Architecture kGptNeoX;
extern const Architecture kLlama;
extern const Architecture kMistral;
extern const Architecture kQwen2;
extern const Architecture kQwen3;

}  // namespace palimpsest::model
