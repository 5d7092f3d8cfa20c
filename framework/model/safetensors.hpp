// Safetensors files and checkpoints made of them: tensors by name, as bytes of a read-only memory map.
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
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace palimpsest {
class MappedFile;
}

namespace palimpsest::model {

enum class DType { kFloat64, kFloat32, kFloat16, kBFloat16, kInt64, kInt32, kInt16, kInt8, kUInt8, kBool };

// The name in the file: "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL".
std::string_view name_of(DType dtype);
// Bytes per element.
std::size_t size_of(DType dtype);
// The inverse of name_of; nothing for a name that is not offered.
std::optional<DType> dtype_from_name(std::string_view name);

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

// A model folder: model.safetensors alone, or model.safetensors.index.json and the files it maps tensors to.
class Checkpoint {
 public:
  // Throws Error as SafetensorsFile::open, and kCorrupt when the index names a file outside the folder, a tensor that
  // is not in its file, or when two of its files hold the same tensor. Tensors that an index does not list are not part
  // of the checkpoint.
  static std::shared_ptr<const Checkpoint> open(const std::filesystem::path& folder);

  // nullptr when the checkpoint has no such tensor.
  const TensorView* find(std::string_view name) const;
  // By file (in the order of files()), then in the order of their bytes.
  const std::vector<const TensorView*>& tensors() const { return tensors_; }
  // Sorted by name.
  const std::vector<std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  Checkpoint() = default;
  void add(const TensorView& tensor);

  std::filesystem::path folder_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::vector<const TensorView*> tensors_;
  std::unordered_map<std::string_view, const TensorView*> index_;
};

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
