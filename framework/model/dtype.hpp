// Element types of tensors in safetensors files, by the names that the format gives them.
//
// Plain functions of their arguments; safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::model {

enum class DType { kFloat64, kFloat32, kFloat16, kBFloat16, kInt64, kInt32, kInt16, kInt8, kUInt8, kBool };

// The name in the file: "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL".
std::string_view name_of(DType dtype);
// Bytes per element.
std::size_t size_of(DType dtype);
// The inverse of name_of; nothing for a name that is not offered.
std::optional<DType> dtype_from_name(std::string_view name);
// All names, for messages: "F64, F32, ...".
std::string dtype_names();

// Bytes of a tensor: product(shape) * size_of(dtype), 0 when any size is 0. Nothing when a size is negative or the
// product does not fit 64 bits.
std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape, DType dtype);
// "[2, 3]", for messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace palimpsest::model
