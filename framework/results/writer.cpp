#include "results/writer.hpp"

#include <atomic>
#include <numeric>
#include <set>

#include "base/files.hpp"
#include "results/handles.hpp"
#include "results/names.hpp"

namespace palimpsest::results {
namespace {

using hdf5::checked;

constexpr ErrorCode kCode = ErrorCode::kInternal;
constexpr std::size_t kCoreIncrement = std::size_t{1} << 20;
// Below this a dataset is stored as it is: a chunk's index would weigh more than gzip saves.
constexpr std::size_t kFilterFrom = 4096;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
constexpr unsigned kGzipLevel = 4;
// Up to so many links stay in the group's own header, far more compact than an index.
constexpr unsigned kCompactLinks = 512;

// An attribute has at most 64 KiB in the formats that old readers know, and a text takes 16 bytes of it.
constexpr std::size_t kMaxTexts = 4000;

// What files, groups and datasets have in common; creation lists of files are those of their root group.
void set_group_properties(hid_t properties) {
  checked(H5Pset_obj_track_times(properties, false), kCode, "cannot turn times off");
  checked(H5Pset_link_creation_order(properties, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED), kCode,
          "cannot keep the order of names");
  checked(H5Pset_link_phase_change(properties, kCompactLinks, kCompactLinks / 2), kCode, "cannot set up groups");
}

hdf5::File create_in_memory() {
  hdf5::silence();
  const hdf5::Properties access(checked(H5Pcreate(H5P_FILE_ACCESS), kCode, "cannot set up a file in memory"));
  checked(H5Pset_fapl_core(access, kCoreIncrement, false), kCode, "cannot set up a file in memory");
  // Newer formats do not open in older readers, nor after a kill.
  checked(H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18), kCode, "cannot bound the file format");
  const hdf5::Properties creation(checked(H5Pcreate(H5P_FILE_CREATE), kCode, "cannot set up a file in memory"));
  set_group_properties(creation);
  // HDF5 tells open files apart by name, also those that are on no disk; the name is not part of the bytes.
  static std::atomic<unsigned> counter{0};
  const std::string name = cat("results in memory ", counter.fetch_add(1));
  return hdf5::File(
      checked(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation, access), kCode, "cannot create a file in memory"));
}

hdf5::Space space_of(std::span<const hsize_t> shape, std::string_view where) {
  if (shape.empty()) return hdf5::Space(checked(H5Screate(H5S_SCALAR), kCode, where, ": no dataspace"));
  return hdf5::Space(
      checked(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), kCode, where, ": no dataspace"));
}

std::vector<hsize_t> chunk_of(std::span<const hsize_t> shape, std::size_t element) {
  std::vector<hsize_t> chunk(shape.begin(), shape.end());
  const auto bytes = [&] {
    return std::accumulate(chunk.begin(), chunk.end(), hsize_t{element}, [](hsize_t a, hsize_t b) { return a * b; });
  };
  // Leading axes are cut first, so that a chunk stays whole rows as long as it can.
  for (hsize_t& size : chunk) {
    while (bytes() > kChunkBytes && size > 1) size = (size + 1) / 2;
  }
  return chunk;
}

// A dataset and its values. `compressible`: fixed-size elements; variable-length texts live outside a filter's reach.
hdf5::Dataset write_dataset(hid_t parent, std::string_view path, const char* name, hid_t file_type, hid_t memory_type,
                            std::span<const hsize_t> shape, const void* values, bool compressible) {
  const std::size_t element = H5Tget_size(memory_type);
  const hsize_t count =
      std::accumulate(shape.begin(), shape.end(), hsize_t{1}, [](hsize_t a, hsize_t b) { return a * b; });
  const hdf5::Properties creation(checked(H5Pcreate(H5P_DATASET_CREATE), kCode, path, ": no property list"));
  checked(H5Pset_obj_track_times(creation, false), kCode, path, ": cannot turn times off");
  if (compressible && !shape.empty() && count * element >= kFilterFrom) {
    const auto chunk = chunk_of(shape, element);
    checked(H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), kCode, path, ": cannot chunk");
    checked(H5Pset_shuffle(creation), kCode, path, ": no shuffle filter");
    checked(H5Pset_deflate(creation, kGzipLevel), kCode, path, ": no gzip filter");
  }
  const hdf5::Space space = space_of(shape, path);
  hdf5::Dataset dataset(checked(H5Dcreate2(parent, name, file_type, space, H5P_DEFAULT, creation, H5P_DEFAULT), kCode,
                                "cannot create ", path));
  if (count > 0) {
    checked(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), kCode, "cannot write ", path);
  }
  return dataset;
}

void write_attribute(hid_t object, std::string_view path, std::string_view name, const Attribute& value) {
  const std::string key(name);
  const auto write = [&](hid_t file_type, hid_t memory_type, std::span<const hsize_t> shape, const void* data,
                         bool empty) {
    const hdf5::Space space = space_of(shape, path);
    const hdf5::AttributeHandle attribute(
        checked(H5Acreate2(object, key.c_str(), file_type, space, H5P_DEFAULT, H5P_DEFAULT), kCode,
                "cannot create attribute ", name, " of ", path));
    if (!empty) checked(H5Awrite(attribute, memory_type, data), kCode, "cannot write attribute ", name, " of ", path);
  };
  if (const auto* text = std::get_if<std::string>(&value)) {
    check_text(*text, cat("attribute ", name, " of ", path));
    const hdf5::Type type = hdf5::string_type(kCode);
    const char* pointer = text->c_str();
    write(type, type, {}, &pointer, false);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    write(H5T_STD_I64LE, H5T_NATIVE_INT64, {}, integer, false);
  } else if (const auto* number = std::get_if<double>(&value)) {
    write(H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {}, number, false);
  } else {
    const auto& texts = std::get<std::vector<std::string>>(value);
    if (texts.size() > kMaxTexts) {
      fail(ErrorCode::kInvalidArgument, "attribute ", name, " of ", path, " lists ", texts.size(), " texts; at most ",
           kMaxTexts, " fit, use a table");
    }
    std::vector<const char*> pointers;
    for (const std::string& item : texts) {
      check_text(item, cat("attribute ", name, " of ", path, ", text ", pointers.size()));
      pointers.push_back(item.c_str());
    }
    const hdf5::Type type = hdf5::string_type(kCode);
    const hsize_t size = pointers.size();
    write(type, type, {&size, 1}, pointers.data(), pointers.empty());
  }
}

hdf5::Dataset write_column(hid_t group, const std::string& path, const Column& column) {
  const hsize_t rows = column.size();
  const std::span<const hsize_t> shape(&rows, 1);
  const char* name = column.name.c_str();
  if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    return write_dataset(group, path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, shape, integers->data(), true);
  }
  if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
    return write_dataset(group, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, shape, numbers->data(), true);
  }
  if (const auto* truths = std::get_if<std::vector<Bool>>(&column.values)) {
    static_assert(sizeof(Bool) == 1);
    auto dataset = write_dataset(group, path, name, H5T_STD_I8LE, H5T_NATIVE_INT8, shape, truths->data(), true);
    write_attribute(dataset, path, "dtype", std::string("bool"));
    return dataset;
  }
  std::vector<const char*> pointers;
  for (const auto& text : std::get<std::vector<std::string>>(column.values)) pointers.push_back(text.c_str());
  const hdf5::Type type = hdf5::string_type(kCode);
  return write_dataset(group, path, name, type, type, shape, pointers.data(), false);
}

}  // namespace

struct Writer::State {
  hdf5::File file = create_in_memory();
  std::set<std::string> groups{"/"};
  std::set<std::string> tables;
  std::set<std::string> arrays;
  std::set<std::string> array_groups;

  // The group and those above it; none of them may be a table or an array.
  void make_group(const std::string& path) {
    std::string reached = "/";
    for (const std::string& part : parts_of(path)) {
      reached = join(reached, part);
      if (tables.contains(reached))
        fail(ErrorCode::kInvalidArgument, reached, " is a table; ", path, " cannot be below it");
      if (arrays.contains(reached))
        fail(ErrorCode::kInvalidArgument, reached, " is an array; ", path, " cannot be below it");
      if (!groups.insert(reached).second) continue;
      const hdf5::Properties creation(checked(H5Pcreate(H5P_GROUP_CREATE), kCode, reached, ": no property list"));
      set_group_properties(creation);
      hdf5::Group(checked(H5Gcreate2(file, reached.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT), kCode,
                          "cannot create group ", reached));
    }
  }

  template <typename T>
  void write_array(std::string_view path_view, std::span<const std::int64_t> shape, std::span<const T> values,
                   hid_t file_type, hid_t memory_type) {
    const std::string path(path_view);
    check_path(path);
    const std::string parent = parent_of(path);
    if (parent == "/") {
      fail(ErrorCode::kInvalidArgument, "the array ", path, " would lie in the root group; give it a group of its own");
    }
    if (groups.contains(path) || !arrays.insert(path).second) {
      fail(ErrorCode::kInvalidArgument, path, " is in the file already; an array needs a name of its own");
    }
    if (values.size_bytes() > kMaxArrayBytes) {
      fail(ErrorCode::kInvalidArgument, "the array ", path, " has ", values.size_bytes(),
           " bytes; a results file holds at most ", kMaxArrayBytes, " per array, keep larger ones as safetensors");
    }
    std::vector<hsize_t> sizes;
    std::uint64_t count = 1;
    for (const std::int64_t size : shape) {
      sizes.push_back(static_cast<hsize_t>(size));
      if (size < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(size), &count)) {
        fail(ErrorCode::kInvalidArgument, "the array ", path, " has an axis of ", size, ", which cannot be");
      }
    }
    if (count != values.size()) {
      fail(ErrorCode::kInvalidArgument, "the shape of array ", path, " asks for ", count, " values; given ",
           values.size());
    }
    make_group(parent);
    array_groups.insert(parent);
    const hdf5::Group group(checked(H5Gopen2(file, parent.c_str(), H5P_DEFAULT), kCode, "cannot open ", parent));
    write_dataset(group, path, parts_of(path).back().c_str(), file_type, memory_type, sizes, values.data(), true);
  }
};

Writer::Writer() : state_(std::make_unique<State>()) { attribute("/", kSchemaAttribute, kSchemaVersion); }
Writer::~Writer() = default;
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;

void Writer::group(std::string_view path) {
  check_path(path);
  state_->make_group(std::string(path));
}

void Writer::attribute(std::string_view path_view, std::string_view name, const Attribute& value) {
  const std::string path(path_view);
  check_path(path);
  check_identifier(name, cat("an attribute of ", path));
  if (is_reserved_attribute(name)) {
    fail(ErrorCode::kInvalidArgument, "the attribute name ", name, " of ", path, " is reserved by HDF5's readers");
  }
  const bool is_column = state_->tables.contains(parent_of(path));
  if (!is_column && !state_->groups.contains(path) && !state_->arrays.contains(path)) {
    fail(ErrorCode::kInvalidArgument, "the attribute ", name, " was given to ", path, ", which is not in the file yet");
  }
  const hdf5::Object object(
      checked(H5Oopen(state_->file, path.c_str(), H5P_DEFAULT), ErrorCode::kInvalidArgument, "there is no ", path));
  if (checked(H5Aexists(object, std::string(name).c_str()), kCode, "cannot look up attribute ", name, " of ", path) >
      0) {
    fail(ErrorCode::kInvalidArgument, "the attribute ", name, " of ", path, " was written before");
  }
  write_attribute(object, path, name, value);
}

void Writer::table(const Table& table) {
  table.check();
  const std::string& path = table.name;
  if (state_->groups.contains(path) || state_->arrays.contains(path)) {
    fail(ErrorCode::kInvalidArgument, path, " is in the file already; ",
         state_->array_groups.contains(path) ? "arrays and tables lie in groups of their own"
                                             : "a table needs a name of its own");
  }
  state_->make_group(path);
  state_->tables.insert(path);
  const hdf5::Group group(checked(H5Gopen2(state_->file, path.c_str(), H5P_DEFAULT), kCode, "cannot open ", path));
  write_attribute(group, path, "definition", table.definition);

  const hsize_t rows = table.rows();
  std::vector<std::int64_t> numbers(rows);
  std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
  const std::string row(kRow);
  const hdf5::Dataset scale = write_dataset(group, join(path, row), row.c_str(), H5T_STD_I64LE, H5T_NATIVE_INT64,
                                            {&rows, 1}, numbers.data(), true);
  checked(H5DSset_scale(scale, row.c_str()), kCode, "cannot make ", join(path, row), " a dimension scale");
  write_attribute(scale, join(path, row), "unit", std::string());
  write_attribute(scale, join(path, row), "definition", std::string("number of the row, from 0"));
  for (const Column& column : table.columns) {
    const std::string column_path = join(path, column.name);
    const hdf5::Dataset dataset = write_column(group, column_path, column);
    checked(H5DSattach_scale(dataset, scale, 0), kCode, "cannot attach the row scale to ", column_path);
    write_attribute(dataset, column_path, "unit", column.unit);
    write_attribute(dataset, column_path, "definition", column.definition);
  }
}

void Writer::array(std::string_view path, std::span<const std::int64_t> shape, std::span<const float> values) {
  state_->write_array(path, shape, values, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT);
}

void Writer::array(std::string_view path, std::span<const std::int64_t> shape, std::span<const double> values) {
  state_->write_array(path, shape, values, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE);
}

void Writer::array(std::string_view path, std::span<const std::int64_t> shape, std::span<const std::int64_t> values) {
  state_->write_array(path, shape, values, H5T_STD_I64LE, H5T_NATIVE_INT64);
}

std::vector<std::byte> Writer::image() {
  checked(H5Fflush(state_->file, H5F_SCOPE_GLOBAL), kCode, "cannot flush the file in memory");
  const auto size = checked(H5Fget_file_image(state_->file, nullptr, 0), kCode, "cannot size the file in memory");
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  checked(H5Fget_file_image(state_->file, bytes.data(), bytes.size()), kCode, "cannot copy the file in memory");
  return bytes;
}

void Writer::commit(const std::filesystem::path& path) { write_file_atomically(path, image()); }

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return cat(major, ".", minor, ".", release);
}

}  // namespace palimpsest::results
