#include "model/safetensors_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/safetensors_format.hpp"
#include "model/strict_json.hpp"

namespace palimpsest::model {
namespace {

class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path) : path_(path), file_(std::fopen(path.c_str(), "wbx")) {
    if (file_ == nullptr) fail_errno();
  }
  ~OutputFile() {
    if (file_ != nullptr) std::fclose(file_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* bytes, std::size_t size) {
    if (size != 0 && std::fwrite(bytes, 1, size, file_) != size) fail_errno();
  }
  void close() {
    // The rest of the buffer goes out here, so a full disk may show only now.
    if (std::fclose(std::exchange(file_, nullptr)) != 0) fail_errno();
  }

 private:
  [[noreturn]] void fail_errno() {
    const int number = errno;
    fail(ErrorCode::kIo, "cannot write ", path_.string(), ": ", std::strerror(number));
  }
  std::filesystem::path path_;
  std::FILE* file_;
};

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> ordered;
  std::set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == kMetadata || !names.insert(tensor.name).second) {
      fail(ErrorCode::kInvalidArgument, "cannot write ", path.string(), ": the tensor name ",
           in_quotes(tensor.name, kShownName),
           tensor.name == kMetadata ? " is reserved by the format" : " is given twice");
    }
    const auto bytes = bytes_of(tensor.shape, tensor.dtype);
    if (!bytes || *bytes != tensor.bytes.size()) {
      fail(ErrorCode::kInvalidArgument, "cannot write ", path.string(), ": tensor ", in_quotes(tensor.name, kShownName),
           " (", name_of(tensor.dtype), " of shape ", shape_text(tensor.shape), ") needs ",
           bytes ? std::to_string(*bytes) : std::string("more than 2^64"), " bytes; given ", tensor.bytes.size());
    }
    ordered.push_back(&tensor);
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const NamedTensor* a, const NamedTensor* b) { return size_of(a->dtype) > size_of(b->dtype); });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  std::uint64_t offset = 0;
  for (const NamedTensor* tensor : ordered) {
    header[tensor->name] = {{"dtype", name_of(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->bytes.size()}}};
    offset += tensor->bytes.size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorCode::kInvalidArgument, "cannot write ", path.string(),
         ": a name or metadata is not UTF-8: ", error.what());
  }
  constexpr std::size_t kAlignment = 64;
  text.append((kAlignment - (kLengthBytes + text.size()) % kAlignment) % kAlignment, ' ');
  if (text.size() > kMaxHeader) {
    fail(ErrorCode::kInvalidArgument, "cannot write ", path.string(), ": its header would have ", text.size(),
         " bytes; at most ", kMaxHeader, " are read");
  }

  if (path.has_parent_path()) {
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) fail(ErrorCode::kIo, "cannot create folder ", path.parent_path().string(), ": ", error.message());
  }
  const auto temporary = temporary_beside(path);
  try {
    OutputFile file(temporary);
    const std::uint64_t header_size = text.size();
    file.write(&header_size, kLengthBytes);
    file.write(text.data(), text.size());
    for (const NamedTensor* tensor : ordered) file.write(tensor->bytes.data(), tensor->bytes.size());
    file.close();
    commit_file(temporary, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

}  // namespace palimpsest::model
