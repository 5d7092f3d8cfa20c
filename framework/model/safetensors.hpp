// A safetensors file that is read: tensors by name, as bytes of a read-only memory map.
//
// Invariant: an object that exists has been checked. Every size, offset, shape and dtype of the header is verified
// against the file before it is used, so a view never reaches outside its file. Views live as long as the object that
// gave them; objects are immutable and may be read from any thread. The file must not be shortened while it is open.
// The bytes of a tensor are little-endian, row-major, and not necessarily aligned: other programs write headers of any
// length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/dtype.hpp"

namespace palimpsest {
class MappedFile;
}

namespace palimpsest::model {

struct TensorView {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;   // empty: a scalar
  std::span<const std::byte> bytes;  // product(shape) * size_of(dtype) bytes
};

class SafetensorsFile {
 public:
  // Maps and checks the file. Throws Error: kNotFound, kIo, kCorrupt (the header contradicts itself or the file) or
  // kUnsupported (a dtype that is not in DType); the message names file, tensor, what was found and what was expected.
  static std::shared_ptr<const SafetensorsFile> open(const std::filesystem::path& path);
  ~SafetensorsFile();

  // In the order of their bytes in the file.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  // nullptr when the file has no such tensor.
  const TensorView* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const;

 private:
  SafetensorsFile() = default;
  void parse(std::span<const std::byte> file);

  std::unique_ptr<MappedFile> map_;
  std::vector<TensorView> tensors_;
  std::unordered_map<std::string_view, std::size_t> index_;  // keys are the names in tensors_
  std::map<std::string, std::string> metadata_;
};

}  // namespace palimpsest::model
