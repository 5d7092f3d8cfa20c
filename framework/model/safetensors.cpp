#include "model/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"

// The format is little-endian and views hand out the file's own bytes.
static_assert(std::endian::native == std::endian::little);

namespace palimpsest::model {
namespace {

using Json = nlohmann::json;

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

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr int kMaxDepth = 8;  // a header needs 3, an index 2
constexpr std::string_view kMetadata = "__metadata__";
constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";

const DTypeEntry& entry_of(DType dtype) {
  for (const auto& entry : kDTypes) {
    if (entry.dtype == dtype) return entry;
  }
  fail(ErrorCode::kInternal, "dtype ", static_cast<int>(dtype), " is not in the table of dtypes");
}

// A name as it may stand in a message: quoted, control characters replaced, cut where a hostile file makes it endless.
std::string in_quotes(std::string_view name) {
  constexpr std::size_t kShown = 120;
  std::string text = "\"";
  for (const char c : name.substr(0, kShown)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return text + (name.size() > kShown ? "...\"" : "\"");
}

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

// The document, with what nlohmann lets pass refused: an object that holds one key twice, and endless nesting.
Json parse_json(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> open_objects;
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) fail(ErrorCode::kCorrupt, where, " is nested more than ", kMaxDepth, " levels deep");
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second) {
        fail(ErrorCode::kCorrupt, where, " holds the key ", in_quotes(key), " twice");
      }
    }
    return true;
  };
  Json document;
  try {
    document = Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kCorrupt, where, " is not valid JSON: ", error.what());
  }
  if (!document.is_object()) {
    fail(ErrorCode::kCorrupt, where, " must be a JSON object; it is of type ", document.type_name());
  }
  return document;
}

// nothing on overflow
std::optional<std::uint64_t> product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
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

// One entry of the header, checked in itself; `where` names file and tensor.
struct HeaderEntry {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

const Json& member(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) fail(ErrorCode::kCorrupt, where, " has no \"", key, "\"");
  return *found;
}

std::uint64_t read_size(const Json& value, const char* key, const std::string& where) {
  if (!value.is_number_unsigned()) {
    fail(ErrorCode::kCorrupt, where, ": \"", key, "\" must hold whole numbers from 0 to 2^63-1; found ", shown(value));
  }
  const auto number = value.get<std::uint64_t>();
  if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    fail(ErrorCode::kCorrupt, where, ": \"", key, "\" must hold whole numbers from 0 to 2^63-1; found ", number);
  }
  return number;
}

HeaderEntry read_entry(const std::string& name, const Json& value, const std::string& where,
                       std::uint64_t buffer_size) {
  if (!value.is_object()) fail(ErrorCode::kCorrupt, where, " must be an object; found ", shown(value));
  for (const auto& [key, unused] : value.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      fail(ErrorCode::kCorrupt, where, " has the key ", in_quotes(key), "; expected dtype, shape, data_offsets only");
    }
  }
  HeaderEntry entry;
  entry.name = name;
  const Json& dtype = member(value, "dtype", where);
  if (!dtype.is_string()) fail(ErrorCode::kCorrupt, where, ": \"dtype\" must be a text; found ", shown(dtype));
  const auto known = dtype_from_name(dtype.get_ref<const std::string&>());
  if (!known) {
    std::string names;
    for (const auto& offered : kDTypes) names += (names.empty() ? "" : ", ") + std::string(offered.name);
    fail(ErrorCode::kUnsupported, where, " has dtype ", in_quotes(dtype.get_ref<const std::string&>()),
         "; the dtypes read here are ", names);
  }
  entry.dtype = *known;

  const Json& shape = member(value, "shape", where);
  if (!shape.is_array()) fail(ErrorCode::kCorrupt, where, ": \"shape\" must be a list; found ", shown(shape));
  for (const Json& size : shape) entry.shape.push_back(static_cast<std::int64_t>(read_size(size, "shape", where)));

  const Json& offsets = member(value, "data_offsets", where);
  if (!offsets.is_array() || offsets.size() != 2) {
    fail(ErrorCode::kCorrupt, where, ": \"data_offsets\" must be [begin, end]; found ", shown(offsets));
  }
  entry.begin = read_size(offsets[0], "data_offsets", where);
  entry.end = read_size(offsets[1], "data_offsets", where);
  if (entry.begin > entry.end) {
    fail(ErrorCode::kCorrupt, where, " begins at byte ", entry.begin, " and ends before, at ", entry.end);
  }
  if (entry.end > buffer_size) {
    fail(ErrorCode::kCorrupt, where, " ends at byte ", entry.end, " of the data, which has ", buffer_size,
         " bytes; the file is truncated or its header is wrong");
  }
  const auto bytes = bytes_of(entry.shape, entry.dtype);
  if (!bytes) fail(ErrorCode::kCorrupt, where, ": shape ", shape_text(entry.shape), " overflows 64 bits");
  if (*bytes != entry.end - entry.begin) {
    fail(ErrorCode::kCorrupt, where, ": ", name_of(entry.dtype), " of shape ", shape_text(entry.shape), " takes ",
         *bytes, " bytes; its data_offsets span ", entry.end - entry.begin);
  }
  return entry;
}

std::map<std::string, std::string> read_metadata(const Json& value, const std::string& file) {
  if (!value.is_object()) {
    fail(ErrorCode::kCorrupt, file, ": \"", kMetadata, "\" must be an object of texts; found ", shown(value));
  }
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      fail(ErrorCode::kCorrupt, file, ": \"", kMetadata, "\" must hold texts; ", in_quotes(key), " is ", shown(text));
    }
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

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

std::string_view name_of(DType dtype) { return entry_of(dtype).name; }

std::size_t size_of(DType dtype) { return entry_of(dtype).size; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const auto& entry : kDTypes) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

SafetensorsFile::~SafetensorsFile() = default;

const std::filesystem::path& SafetensorsFile::path() const { return map_->path(); }

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->map_ = std::make_unique<MappedFile>(path);
  file->parse(file->map_->bytes());
  return file;
}

void SafetensorsFile::parse(std::span<const std::byte> file) {
  const std::string name = path().string();
  if (file.size() < kLengthBytes) {
    fail(ErrorCode::kCorrupt, name, " has ", file.size(),
         " bytes; a safetensors file starts with 8 bytes of header length");
  }
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, file.data(), kLengthBytes);
  if (header_size > kMaxHeader) {
    fail(ErrorCode::kCorrupt, name, " states a header of ", header_size, " bytes; at most ", kMaxHeader,
         " are accepted (is it a safetensors file?)");
  }
  if (header_size > file.size() - kLengthBytes) {
    fail(ErrorCode::kCorrupt, name, " states a header of ", header_size, " bytes; only ", file.size() - kLengthBytes,
         " follow; the file is truncated");
  }
  const auto buffer = file.subspan(kLengthBytes + header_size);
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, header_size);
  const Json header = parse_json(text, "the header of " + name);

  std::vector<HeaderEntry> entries;
  entries.reserve(header.size());
  for (const auto& [key, value] : header.items()) {
    if (key == kMetadata) {
      metadata_ = read_metadata(value, name);
    } else {
      entries.push_back(read_entry(key, value, cat(name, ": tensor ", in_quotes(key)), buffer.size()));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  // In order, each must begin where the one before ended: no byte is hidden and none is shared.
  std::uint64_t expected = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != expected) {
      fail(ErrorCode::kCorrupt, name, ": tensor ", in_quotes(entry.name), " begins at byte ", entry.begin,
           " of the data; expected ", expected, ", where the tensor before it ends (",
           entry.begin < expected ? "they overlap" : "there is a gap", ")");
    }
    expected = entry.end;
  }
  if (expected != buffer.size()) {
    fail(ErrorCode::kCorrupt, name, ": the tensors end at byte ", expected, " of the data, which has ", buffer.size(),
         " bytes");
  }
  tensors_.reserve(entries.size());
  for (HeaderEntry& entry : entries) {
    const auto bytes = buffer.subspan(entry.begin, entry.end - entry.begin);
    tensors_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape), bytes});
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

void Checkpoint::add(const TensorView& tensor) {
  tensors_.push_back(&tensor);
  index_.emplace(tensor.name, &tensor);
}

std::shared_ptr<const Checkpoint> Checkpoint::open(const std::filesystem::path& folder) {
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->folder_ = folder;
  if (!std::filesystem::is_directory(folder)) {
    const bool exists = std::filesystem::exists(folder);
    fail(exists ? ErrorCode::kInvalidArgument : ErrorCode::kNotFound, "the model folder ", folder.string(),
         exists ? " is not a folder" : " does not exist");
  }
  const auto single = folder / kSingleFile;
  const auto index_path = folder / kIndexFile;
  if (std::filesystem::exists(single)) {
    checkpoint->files_.push_back(SafetensorsFile::open(single));
    for (const TensorView& tensor : checkpoint->files_.front()->tensors()) checkpoint->add(tensor);
    return checkpoint;
  }
  if (!std::filesystem::exists(index_path)) {
    fail(ErrorCode::kNotFound, "the folder ", folder.string(), " holds neither ", kSingleFile, " nor ", kIndexFile,
         "; expected a model in Hugging Face's layout");
  }

  const Json document = parse_json(read_file(index_path, kMaxHeader), index_path.string());
  const Json& weight_map = member(document, "weight_map", index_path.string());
  if (!weight_map.is_object()) {
    fail(ErrorCode::kCorrupt, index_path.string(), ": \"weight_map\" must be an object (tensor -> file); found ",
         shown(weight_map));
  }
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> files;
  for (const auto& [tensor, file] : weight_map.items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>())) {
      fail(ErrorCode::kCorrupt, index_path.string(), " maps tensor ", in_quotes(tensor), " to ", shown(file),
           "; expected the plain name of a file in the same folder");
    }
    files.emplace(file.get<std::string>(), nullptr);
  }
  std::unordered_map<std::string_view, const SafetensorsFile*> holder;
  for (auto& [file_name, file] : files) {
    file = SafetensorsFile::open(folder / file_name);
    for (const TensorView& tensor : file->tensors()) {
      const auto [first, is_new] = holder.emplace(tensor.name, file.get());
      if (!is_new) {
        fail(ErrorCode::kCorrupt, "tensor ", in_quotes(tensor.name), " is in ", first->second->path().string(),
             " and in ", file->path().string(), "; a tensor of a checkpoint stands in one file");
      }
    }
  }
  for (const auto& [tensor, file_name] : weight_map.items()) {
    const auto& file = files.at(file_name.get_ref<const std::string&>());
    if (file->find(tensor) == nullptr) {
      fail(ErrorCode::kCorrupt, index_path.string(), " maps tensor ", in_quotes(tensor), " to ", file->path().string(),
           ", which does not hold it");
    }
  }
  for (const auto& [file_name, file] : files) {
    checkpoint->files_.push_back(file);
    for (const TensorView& tensor : file->tensors()) {
      if (weight_map.contains(tensor.name)) checkpoint->add(tensor);
    }
  }
  return checkpoint;
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second;
}

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> ordered;
  std::set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == kMetadata || !names.insert(tensor.name).second) {
      fail(ErrorCode::kInvalidArgument, "cannot write ", path.string(), ": the tensor name ", in_quotes(tensor.name),
           tensor.name == kMetadata ? " is reserved by the format" : " is given twice");
    }
    const auto bytes = bytes_of(tensor.shape, tensor.dtype);
    if (!bytes || *bytes != tensor.bytes.size()) {
      fail(ErrorCode::kInvalidArgument, "cannot write ", path.string(), ": tensor ", in_quotes(tensor.name), " (",
           name_of(tensor.dtype), " of shape ", shape_text(tensor.shape), ") needs ",
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
  } catch (const Json::exception& error) {
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
