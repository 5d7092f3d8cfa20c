#include "model/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/safetensors_format.hpp"
#include "model/strict_json.hpp"

namespace palimpsest::model {
namespace {

using Json = nlohmann::json;

// One entry of the header, checked in itself; `where` names file and tensor.
struct HeaderEntry {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

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
      fail(ErrorCode::kCorrupt, where, " has the key ", in_quotes(key, kShownName),
           "; expected dtype, shape, data_offsets only");
    }
  }
  HeaderEntry entry;
  entry.name = name;
  const Json& dtype = member(value, "dtype", where);
  if (!dtype.is_string()) fail(ErrorCode::kCorrupt, where, ": \"dtype\" must be a text; found ", shown(dtype));
  const auto known = dtype_from_name(dtype.get_ref<const std::string&>());
  if (!known) {
    fail(ErrorCode::kUnsupported, where, " has dtype ", in_quotes(dtype.get_ref<const std::string&>(), kShownName),
         "; the dtypes read here are ", dtype_names());
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
      fail(ErrorCode::kCorrupt, file, ": \"", kMetadata, "\" must hold texts; ", in_quotes(key, kShownName), " is ",
           shown(text));
    }
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

}  // namespace

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
  const Json header = parse_strict(text, "the header of " + name);

  std::vector<HeaderEntry> entries;
  entries.reserve(header.size());
  for (const auto& [key, value] : header.items()) {
    if (key == kMetadata) {
      metadata_ = read_metadata(value, name);
    } else {
      entries.push_back(read_entry(key, value, cat(name, ": tensor ", in_quotes(key, kShownName)), buffer.size()));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  // In order, each must begin where the one before ended: no byte is hidden and none is shared.
  std::uint64_t expected = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != expected) {
      fail(ErrorCode::kCorrupt, name, ": tensor ", in_quotes(entry.name, kShownName), " begins at byte ", entry.begin,
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

}  // namespace palimpsest::model
