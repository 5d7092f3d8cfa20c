#include "model/dtype.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::model {
namespace {

struct DTypeEntry {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<DTypeEntry, 10> kDTypes{{{DType::kFloat64, "F64", 8},
                                              {DType::kFloat32, "F32", 4},
                                              {DType::kFloat16, "F16", 2},
                                              {DType::kBFloat16, "BF16", 2},
                                              {DType::kInt64, "I64", 8},
                                              {DType::kInt32, "I32", 4},
                                              {DType::kInt16, "I16", 2},
                                              {DType::kInt8, "I8", 1},
                                              {DType::kUInt8, "U8", 1},
                                              {DType::kBool, "BOOL", 1}}};

const DTypeEntry& entry_of(DType dtype) {
  for (const auto& entry : kDTypes) {
    if (entry.dtype == dtype) return entry;
  }
  fail(ErrorCode::kInternal, "dtype ", static_cast<int>(dtype), " is not in the table of dtypes");
}

// nothing on overflow
std::optional<std::uint64_t> product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

}  // namespace

std::string_view name_of(DType dtype) { return entry_of(dtype).name; }

std::size_t size_of(DType dtype) { return entry_of(dtype).size; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const auto& entry : kDTypes) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

std::string dtype_names() {
  return list_text(kDTypes, [](const auto& entry) { return entry.name; });
}

std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape, DType dtype) {
  // A zero anywhere makes the tensor empty, however large the other sizes are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::optional<std::uint64_t> bytes = size_of(dtype);
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    bytes = product(*bytes, static_cast<std::uint64_t>(size));
    if (!bytes) return std::nullopt;
  }
  return bytes;
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return cat("[", list_text(shape), "]"); }

}  // namespace palimpsest::model
