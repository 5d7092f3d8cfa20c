#include "results/reader.hpp"

#include <algorithm>
#include <optional>

#include "results/handles.hpp"
#include "results/names.hpp"

namespace palimpsest::results {
namespace {

using hdf5::checked;

constexpr ErrorCode kCode = ErrorCode::kCorrupt;
// More elements than any results file holds: a damaged size must not become an allocation.
constexpr hssize_t kMaxElements = hssize_t{1} << 32;

hdf5::File open_read_only(const std::filesystem::path& path) {
  hdf5::silence();
  const std::string name = path.string();
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fail(ErrorCode::kNotFound, "the results file ", name, " does not exist");
  if (!std::filesystem::is_regular_file(status))
    fail(ErrorCode::kIo, "cannot read ", name, ": it is not a regular file");
  const hdf5::Properties access(checked(H5Pcreate(H5P_FILE_ACCESS), kCode, name, ": no property list"));
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 11, 0))
  // Files appear whole and never change, so a lock would guard nothing, and some file systems refuse it.
  checked(H5Pset_file_locking(access, false, true), kCode, name, ": cannot turn file locks off");
#endif
  const htri_t is_hdf5 = H5Fis_hdf5(name.c_str());
  if (is_hdf5 == 0)
    fail(ErrorCode::kInvalidArgument, name, " is not an HDF5 file; expected a Palimpsest results file (.h5)");
  return hdf5::File(checked(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access), is_hdf5 < 0 ? ErrorCode::kIo : kCode,
                            "cannot open ", name, "; it may be truncated"));
}

std::vector<std::string> names_in(hid_t group, const std::string& where) {
  const hdf5::Properties creation(checked(H5Gget_create_plist(group), kCode, where));
  unsigned order = 0;
  checked(H5Pget_link_creation_order(creation, &order), kCode, where);
  const H5_index_t index = (order & H5P_CRT_ORDER_INDEXED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
  H5G_info_t info;
  checked(H5Gget_info(group, &info), kCode, "cannot list ", where);
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto size = checked(H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT), kCode,
                              "cannot list ", where);
    std::string name(static_cast<std::size_t>(size), '\0');
    checked(H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, name.data(), name.size() + 1, H5P_DEFAULT), kCode,
            "cannot list ", where);
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::int64_t> shape_of(hid_t space, const std::string& where) {
  const int rank = checked(H5Sget_simple_extent_ndims(space), kCode, where, ": no shape");
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  checked(H5Sget_simple_extent_dims(space, sizes.data(), nullptr), kCode, where, ": no shape");
  const hssize_t count = checked(H5Sget_simple_extent_npoints(space), kCode, where, ": no shape");
  if (count > kMaxElements ||
      std::any_of(sizes.begin(), sizes.end(), [](hsize_t size) { return size > (hsize_t{1} << 62); })) {
    fail(ErrorCode::kUnsupported, where, " claims ", count, " elements; at most ", kMaxElements, " are read");
  }
  return {sizes.begin(), sizes.end()};
}

// The memory type's class, size and sign are the file's: nothing is converted but the byte order.
bool is_type(hid_t type, hid_t expected) {
  return H5Tget_class(type) == H5Tget_class(expected) && H5Tget_size(type) == H5Tget_size(expected) &&
         (H5Tget_class(type) != H5T_INTEGER || H5Tget_sign(type) == H5Tget_sign(expected));
}

bool is_string(hid_t type) { return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0; }

// Reads `count` variable-length texts through `read` and gives HDF5's copies back.
template <typename Read>
std::vector<std::string> read_strings(hid_t space, std::size_t count, const std::string& where, Read&& read) {
  if (count == 0) return {};
  const hdf5::Type type = hdf5::string_type(kCode);
  std::vector<char*> pointers(count, nullptr);
  checked(read(static_cast<hid_t>(type), pointers.data()), kCode, "cannot read ", where);
  std::vector<std::string> texts;
  texts.reserve(count);
  // HDF5 keeps an empty text as a null pointer.
  for (const char* pointer : pointers) texts.emplace_back(pointer == nullptr ? "" : pointer);
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  return texts;
}

template <typename T>
std::vector<T> read_numbers(hid_t dataset, std::size_t count, hid_t type, const std::string& where) {
  std::vector<T> values(count);
  if (count > 0)
    checked(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), kCode, "cannot read ", where);
  return values;
}

// Nothing when the attribute has a type that a results file does not use.
std::optional<Attribute> read_attribute(hid_t object, const std::string& name, const std::string& where) {
  const hdf5::AttributeHandle attribute(
      checked(H5Aopen(object, name.c_str(), H5P_DEFAULT), kCode, "cannot open ", where));
  const hdf5::Type type(checked(H5Aget_type(attribute), kCode, where, ": no type"));
  const hdf5::Space space(checked(H5Aget_space(attribute), kCode, where, ": no shape"));
  if (H5Sget_simple_extent_type(space) == H5S_NULL) return std::nullopt;
  const auto shape = shape_of(space, where);
  if (is_string(type) && shape.size() <= 1) {
    const auto count = shape.empty() ? std::size_t{1} : static_cast<std::size_t>(shape[0]);
    auto texts =
        read_strings(space, count, where, [&](hid_t memory, void* into) { return H5Aread(attribute, memory, into); });
    if (shape.empty()) return Attribute(std::move(texts.front()));
    return Attribute(std::move(texts));
  }
  if (!shape.empty()) return std::nullopt;
  if (is_type(type, H5T_NATIVE_INT64)) {
    std::int64_t value = 0;
    checked(H5Aread(attribute, H5T_NATIVE_INT64, &value), kCode, "cannot read ", where);
    return Attribute(value);
  }
  if (is_type(type, H5T_NATIVE_DOUBLE)) {
    double value = 0;
    checked(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), kCode, "cannot read ", where);
    return Attribute(value);
  }
  return std::nullopt;
}

// "" when the attribute is absent or no text.
std::string text_attribute(hid_t object, const char* name, const std::string& where) {
  if (checked(H5Aexists(object, name), kCode, where) == 0) return "";
  const auto value = read_attribute(object, name, cat(where, ", attribute ", name));
  const auto* text = value ? std::get_if<std::string>(&*value) : nullptr;
  return text == nullptr ? "" : *text;
}

}  // namespace

struct Reader::State {
  std::filesystem::path path;
  hdf5::File file;

  std::string where(std::string_view object) const { return cat(path.string(), ":", object); }

  // Whether every part of the path is there; a part that points elsewhere is refused.
  bool exists(std::string_view object) const {
    check_path(object);
    std::string reached = "/";
    for (const std::string& part : parts_of(object)) {
      // A part below a dataset does not exist; HDF5 calls that an error.
      if (reached != "/" && type_of(reached) != H5I_GROUP) return false;
      reached = join(reached, part);
      if (checked(H5Lexists(file, reached.c_str(), H5P_DEFAULT), kCode, "cannot look up ", where(reached)) == 0)
        return false;
      H5L_info_t info;
      checked(H5Lget_info(file, reached.c_str(), &info, H5P_DEFAULT), kCode, "cannot look up ", where(reached));
      if (info.type != H5L_TYPE_HARD) {
        fail(ErrorCode::kUnsupported, where(reached),
             " is a soft or external link; a results file holds its own data only");
      }
    }
    return true;
  }

  H5I_type_t type_of(const std::string& object) const {
    return H5Iget_type(
        hdf5::Object(checked(H5Oopen(file, object.c_str(), H5P_DEFAULT), kCode, "cannot open ", where(object))));
  }

  hdf5::Object open(std::string_view object) const {
    if (!exists(object)) {
      const std::string parent = parent_of(object);
      std::string near;
      if (exists(parent) && type_of(parent) == H5I_GROUP) {
        std::vector<std::string> siblings;
        for (const auto& name : names_of(parent)) siblings.push_back(join(parent, name));
        near = did_you_mean(object, siblings);
      }
      fail(ErrorCode::kNotFound, path.string(), " has no ", object, near);
    }
    return hdf5::Object(
        checked(H5Oopen(file, std::string(object).c_str(), H5P_DEFAULT), kCode, "cannot open ", where(object)));
  }

  std::vector<std::string> names_of(const std::string& group) const {
    const hdf5::Group handle(
        checked(H5Gopen2(file, group.c_str(), H5P_DEFAULT), kCode, "cannot open ", where(group), " as a group"));
    return names_in(handle, where(group));
  }

  // Opens a dataset whose bytes lie in this file.
  hdf5::Dataset open_dataset(std::string_view object) const {
    const auto handle = open(object);
    if (H5Iget_type(handle) != H5I_DATASET) fail(ErrorCode::kInvalidArgument, where(object), " is not a dataset");
    hdf5::Dataset dataset(
        checked(H5Dopen2(file, std::string(object).c_str(), H5P_DEFAULT), kCode, "cannot open ", where(object)));
    const hdf5::Properties creation(checked(H5Dget_create_plist(dataset), kCode, where(object)));
    if (H5Pget_external_count(creation) > 0 || H5Pget_layout(creation) == H5D_VIRTUAL) {
      fail(ErrorCode::kUnsupported, where(object),
           " keeps its values in another file; a results file holds its own data only");
    }
    return dataset;
  }

  Column read_column(const std::string& table, const std::string& name) const {
    const std::string object = join(table, name);
    const auto dataset = open_dataset(object);
    const std::string place = where(object);
    const hdf5::Type type(checked(H5Dget_type(dataset), kCode, place, ": no type"));
    const hdf5::Space space(checked(H5Dget_space(dataset), kCode, place, ": no shape"));
    const auto shape = shape_of(space, place);
    if (shape.size() != 1) {
      fail(ErrorCode::kUnsupported, place, " has ", shape.size(), " axes; the columns of a table have one");
    }
    const auto rows = static_cast<std::size_t>(shape[0]);
    Column column{name, text_attribute(dataset, "unit", place), text_attribute(dataset, "definition", place), {}};
    if (is_type(type, H5T_NATIVE_INT64)) {
      column.values = read_numbers<std::int64_t>(dataset, rows, H5T_NATIVE_INT64, place);
    } else if (is_type(type, H5T_NATIVE_DOUBLE)) {
      column.values = read_numbers<double>(dataset, rows, H5T_NATIVE_DOUBLE, place);
    } else if (is_string(type)) {
      column.values = read_strings(space, rows, place, [&](hid_t memory, void* into) {
        return H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, into);
      });
    } else if (is_type(type, H5T_NATIVE_INT8) && text_attribute(dataset, "dtype", place) == "bool") {
      std::vector<Bool> truths(rows);
      const auto bytes = read_numbers<std::int8_t>(dataset, rows, H5T_NATIVE_INT8, place);
      std::transform(bytes.begin(), bytes.end(), truths.begin(), [](std::int8_t byte) { return Bool(byte != 0); });
      column.values = std::move(truths);
    } else {
      fail(ErrorCode::kUnsupported, place,
           " has a type that no column of a results file has; expected int64, float64, bool (int8) or variable-length "
           "text");
    }
    return column;
  }
};

Reader::Reader(const std::filesystem::path& path) : state_(new State{path, open_read_only(path)}) {
  const std::string key(kSchemaAttribute);
  const hdf5::Object root(checked(H5Oopen(state_->file, "/", H5P_DEFAULT), kCode, "cannot open ", state_->where("/")));
  std::optional<Attribute> version;
  if (checked(H5Aexists(root, key.c_str()), kCode, "cannot read ", state_->where("/")) > 0) {
    version = read_attribute(root, key, cat(state_->where("/"), ", attribute ", key));
  }
  const auto* number = version ? std::get_if<std::int64_t>(&*version) : nullptr;
  if (number == nullptr) {
    fail(ErrorCode::kInvalidArgument, path.string(),
         " is an HDF5 file, but not a Palimpsest results file: it has no attribute ", key);
  }
  if (*number != kSchemaVersion) {
    fail(ErrorCode::kUnsupported, path.string(), " has results schema ", *number, "; this program reads ",
         kSchemaVersion, *number > kSchemaVersion ? " (a newer Palimpsest wrote it)" : "");
  }
}

Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;

const std::filesystem::path& Reader::path() const { return state_->path; }

bool Reader::has(std::string_view path) const { return state_->exists(path); }

Kind Reader::kind(std::string_view path) const {
  const auto object = state_->open(path);
  if (H5Iget_type(object) == H5I_DATASET) return Kind::kArray;
  if (H5Iget_type(object) != H5I_GROUP) {
    fail(ErrorCode::kUnsupported, state_->where(path), " is neither a group nor a dataset");
  }
  const std::string row = join(path, kRow);
  if (path == "/" || !state_->exists(row)) return Kind::kGroup;
  return H5DSis_scale(state_->open_dataset(row)) > 0 ? Kind::kTable : Kind::kGroup;
}

std::vector<std::string> Reader::children(std::string_view group) const {
  if (kind(group) == Kind::kArray) fail(ErrorCode::kInvalidArgument, state_->where(group), " is an array, not a group");
  return state_->names_of(std::string(group));
}

std::vector<std::string> Reader::tables(std::string_view group) const {
  if (kind(group) == Kind::kTable) return {std::string(group)};
  std::vector<std::string> found;
  for (const std::string& name : children(group)) {
    const std::string path = join(group, name);
    if (kind(path) == Kind::kArray) continue;
    for (std::string& table : tables(path)) found.push_back(std::move(table));
  }
  return found;
}

Table Reader::table(std::string_view path) const {
  if (kind(path) != Kind::kTable) {
    fail(ErrorCode::kInvalidArgument, state_->where(path), " is not a table: it has no dimension scale \"row\"");
  }
  Table table{std::string(path), "", {}};
  table.definition = text_attribute(state_->open(path), "definition", state_->where(path));
  const hdf5::Space space(checked(H5Dget_space(state_->open_dataset(join(path, kRow))), kCode, state_->where(path)));
  const hssize_t rows = checked(H5Sget_simple_extent_npoints(space), kCode, state_->where(path));
  for (const std::string& name : state_->names_of(table.name)) {
    if (name == kRow) continue;
    table.columns.push_back(state_->read_column(table.name, name));
    if (table.columns.back().size() != static_cast<std::size_t>(rows)) {
      fail(kCode, state_->where(join(path, name)), " has ", table.columns.back().size(), " rows; its row scale has ",
           rows);
    }
  }
  return table;
}

Array Reader::array(std::string_view path) const {
  const auto dataset = state_->open_dataset(path);
  const std::string place = state_->where(path);
  const hdf5::Type type(checked(H5Dget_type(dataset), kCode, place, ": no type"));
  const hdf5::Space space(checked(H5Dget_space(dataset), kCode, place, ": no shape"));
  Array array;
  array.shape = shape_of(space, place);
  const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space));
  if (is_type(type, H5T_NATIVE_FLOAT)) {
    array.values = read_numbers<float>(dataset, count, H5T_NATIVE_FLOAT, place);
  } else if (is_type(type, H5T_NATIVE_DOUBLE)) {
    array.values = read_numbers<double>(dataset, count, H5T_NATIVE_DOUBLE, place);
  } else if (is_type(type, H5T_NATIVE_INT64)) {
    array.values = read_numbers<std::int64_t>(dataset, count, H5T_NATIVE_INT64, place);
  } else {
    fail(ErrorCode::kUnsupported, place,
         " has a type that no array of a results file has; expected float32, float64 or int64");
  }
  return array;
}

std::vector<std::pair<std::string, Attribute>> Reader::attributes(std::string_view path) const {
  const auto object = state_->open(path);
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->emplace_back(name);
    return 0;
  };
  checked(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names), kCode,
          "cannot list the attributes of ", state_->where(path));
  std::vector<std::pair<std::string, Attribute>> found;
  for (const std::string& name : names) {
    if (is_reserved_attribute(name)) continue;
    const std::string place = cat(state_->where(path), ", attribute ", name);
    auto value = read_attribute(object, name, place);
    if (!value) fail(ErrorCode::kUnsupported, place, " has a type that no attribute of a results file has");
    found.emplace_back(name, std::move(*value));
  }
  return found;
}

void Reader::fail_attribute(std::string_view path, std::string_view name, bool exists) const {
  if (exists) {
    fail(ErrorCode::kInvalidArgument, state_->where(path), ": the attribute ", name,
         " has another type than was asked for");
  }
  std::vector<std::string> names;
  for (auto& [key, value] : attributes(path)) names.push_back(key);
  fail(ErrorCode::kNotFound, state_->where(path), " has no attribute ", name, did_you_mean(name, names));
}

}  // namespace palimpsest::results
