// Tensors written as one safetensors file.
//
// Plain functions; safe from any thread, for different files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/dtype.hpp"

namespace palimpsest::model {

// A tensor to be written: product(shape) * size_of(dtype) bytes, row-major, little-endian.
struct NamedTensor {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// Writes the file whole or not at all (base/files.hpp), creating missing folders; equal arguments give equal bytes.
// Wider dtypes come first and the arguments' order holds otherwise, so every tensor is aligned to its element and the
// first to 64 bytes. Throws Error: kInvalidArgument (a name given twice, bytes that do not fit the shape), kIo.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace palimpsest::model
