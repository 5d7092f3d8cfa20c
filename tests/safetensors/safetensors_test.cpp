#include "model/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

#include "base/files.hpp"
#include "model/safetensors_writer.hpp"
#include "safetensors/raw_file.hpp"
#include "support/error_of.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::vector<T> values(const TensorView& tensor) {
  std::vector<T> result(tensor.bytes.size() / sizeof(T));
  std::memcpy(result.data(), tensor.bytes.data(), tensor.bytes.size());
  return result;
}

template <typename T>
std::span<const std::byte> bytes(const std::vector<T>& of) {
  return std::as_bytes(std::span(of));
}

TEST(Safetensors, ReadsWhatThePythonLibraryWrote) {
  const auto file = SafetensorsFile::open(PALIMPSEST_TEST_DATA "/safetensors/data/reference.safetensors");
  ASSERT_EQ(file->tensors().size(), 13u);
  const auto get = [&](std::string_view name, DType dtype, std::vector<std::int64_t> shape) {
    const TensorView* tensor = file->find(name);
    EXPECT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->dtype, dtype) << name;
    EXPECT_EQ(tensor->shape, shape) << name;
    return *tensor;
  };
  EXPECT_THAT(values<double>(get("float64", DType::kFloat64, {2})), ElementsAre(0.1, -2.0));
  EXPECT_THAT(values<float>(get("float32", DType::kFloat32, {2, 3})), ElementsAre(0.f, .25f, .5f, .75f, 1.f, 1.25f));
  EXPECT_THAT(values<std::uint16_t>(get("float16", DType::kFloat16, {2})), ElementsAre(0x3E00, 0xB400));
  EXPECT_THAT(values<std::uint16_t>(get("bfloat16", DType::kBFloat16, {2, 1})), ElementsAre(0x3FC0, 0xC040));
  EXPECT_THAT(values<std::int64_t>(get("int64", DType::kInt64, {2})), ElementsAre(-(std::int64_t{1} << 40), 7));
  EXPECT_THAT(values<std::int32_t>(get("int32", DType::kInt32, {1})), ElementsAre(-5));
  EXPECT_THAT(values<std::int16_t>(get("int16", DType::kInt16, {3})), ElementsAre(300, -300, 1));
  EXPECT_THAT(values<std::int8_t>(get("int8", DType::kInt8, {3})), ElementsAre(-1, 2, 3));
  EXPECT_THAT(values<std::uint8_t>(get("uint8", DType::kUInt8, {1})), ElementsAre(255));
  EXPECT_THAT(values<std::uint8_t>(get("bool", DType::kBool, {3})), ElementsAre(1, 0, 1));
  EXPECT_THAT(values<float>(get("scalar", DType::kFloat32, {})), ElementsAre(2.5f));
  EXPECT_THAT(values<float>(get("empty", DType::kFloat32, {0, 4})), ElementsAre());
  EXPECT_THAT(values<std::int64_t>(get("näme", DType::kInt64, {1})), ElementsAre(9));
  EXPECT_EQ(file->find("absent"), nullptr);
  EXPECT_EQ(file->metadata().at("note"), "écrit par Python");
  EXPECT_EQ(file->metadata().size(), 2u);
}

TEST(Safetensors, TensorsComeInTheOrderOfTheirBytes) {
  const auto file = SafetensorsFile::open(PALIMPSEST_TEST_DATA "/safetensors/data/reference.safetensors");
  for (std::size_t i = 1; i < file->tensors().size(); ++i) {
    EXPECT_LE(file->tensors()[i - 1].bytes.data(), file->tensors()[i].bytes.data());
  }
}

TEST(Safetensors, RoundTripKeepsBytesNamesAndMetadata) {
  const TemporaryFolder folder;
  const std::vector<float> weights{1.f, -2.f, 3.5f, 0.f, 5.f, 6.f};
  const std::vector<std::uint8_t> mask{1, 0, 1};
  const std::vector<std::int64_t> ids{-1, 42};
  const std::vector<NamedTensor> tensors{{"mask \"quoted\"", DType::kBool, {3}, bytes(mask)},
                                         {"layers.0.weight", DType::kFloat32, {3, 2}, bytes(weights)},
                                         {"ids", DType::kInt64, {2}, bytes(ids)},
                                         {"nothing", DType::kFloat16, {4, 0}, {}}};
  write_safetensors(folder / "a/b/x.safetensors", tensors, {{"ключ", "значение"}});
  const auto file = SafetensorsFile::open(folder / "a/b/x.safetensors");
  ASSERT_EQ(file->tensors().size(), 4u);
  EXPECT_THAT(values<float>(*file->find("layers.0.weight")), ::testing::ElementsAreArray(weights));
  EXPECT_THAT(file->find("layers.0.weight")->shape, ElementsAre(3, 2));
  EXPECT_THAT(values<std::uint8_t>(*file->find("mask \"quoted\"")), ::testing::ElementsAreArray(mask));
  EXPECT_THAT(values<std::int64_t>(*file->find("ids")), ::testing::ElementsAreArray(ids));
  EXPECT_EQ(file->find("nothing")->bytes.size(), 0u);
  EXPECT_EQ(file->metadata().at("ключ"), "значение");
  // Wider dtypes first, the first on a multiple of 64 of the mapping, all on a multiple of their element.
  EXPECT_EQ(file->tensors()[0].name, "ids");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file->tensors()[0].bytes.data()) % 64, 0u);
  for (const TensorView& tensor : file->tensors()) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % size_of(tensor.dtype), 0u) << tensor.name;
  }
}

TEST(Safetensors, NoTensorsAtAll) {
  const TemporaryFolder folder;
  write_safetensors(folder / "empty.safetensors", {});
  EXPECT_TRUE(SafetensorsFile::open(folder / "empty.safetensors")->tensors().empty());
}

TEST(Safetensors, EqualArgumentsGiveEqualBytes) {
  const TemporaryFolder folder;
  const std::vector<double> data{1, 2};
  const std::vector<NamedTensor> tensors{{"b", DType::kFloat64, {1, 2}, bytes(data)},
                                         {"a", DType::kFloat64, {2}, bytes(data)}};
  write_safetensors(folder / "1", tensors, {{"k", "v"}});
  write_safetensors(folder / "2", tensors, {{"k", "v"}});
  EXPECT_EQ(read_file(folder / "1"), read_file(folder / "2"));
}

TEST(Safetensors, WriterRefusesWhatItCouldNotReadBack) {
  const TemporaryFolder folder;
  const std::vector<float> two{1, 2};
  const auto refused = [&](std::vector<NamedTensor> tensors, std::map<std::string, std::string> metadata = {}) {
    const Error error = error_of([&] { write_safetensors(folder / "x.safetensors", tensors, metadata); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("x.safetensors"));
    return std::string(error.what());
  };
  EXPECT_THAT(refused({{"w", DType::kFloat32, {3}, bytes(two)}}),
              AllOf(HasSubstr("\"w\""), HasSubstr("needs 12 bytes; given 8")));
  EXPECT_THAT(refused({{"w", DType::kFloat32, {-2}, bytes(two)}}), HasSubstr("[-2]"));
  EXPECT_THAT(refused({{"w", DType::kFloat32, {2}, bytes(two)}, {"w", DType::kFloat32, {2}, bytes(two)}}),
              HasSubstr("given twice"));
  EXPECT_THAT(refused({{"__metadata__", DType::kFloat32, {2}, bytes(two)}}), HasSubstr("reserved"));
  EXPECT_THAT(refused({{"\xff", DType::kFloat32, {2}, bytes(two)}}), HasSubstr("not UTF-8"));
  EXPECT_THAT(refused({}, {{"k", "\xc3"}}), HasSubstr("not UTF-8"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// A file-size limit stands in for the full disk: write(2) fails part of the way either way.
TEST(Safetensors, AFailedWriteLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  const std::vector<float> old{1, 2};
  write_safetensors(folder / "x.safetensors", std::vector<NamedTensor>{{"w", DType::kFloat32, {2}, bytes(old)}});
  const std::string before = read_file(folder / "x.safetensors");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int status = 1;
    try {
      const std::vector<float> large(100'000, 1.f);
      write_safetensors(folder / "x.safetensors",
                        std::vector<NamedTensor>{{"w", DType::kFloat32, {100'000}, bytes(large)}});
    } catch (const Error& error) {
      status = error.code() == ErrorCode::kIo ? 0 : 2;
    }
    ::_exit(status);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(read_file(folder / "x.safetensors"), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

struct Hostile {
  const char* name;
  std::string header;
  std::size_t data_bytes;
  ErrorCode code;
  const char* said;
};

std::string entry(std::string_view name, std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return cat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", shape, ",\"data_offsets\":", offsets, "}");
}

std::vector<Hostile> hostile_headers() {
  using enum ErrorCode;
  const std::string good = entry("a", "F32", "[2]", "[0,8]");
  return {
      {"NotJson", "{\"a\":", 0, kCorrupt, "not valid JSON"},
      {"TrailingText", "{} x", 0, kCorrupt, "not valid JSON"},
      {"NotUtf8", "{\"\xff\":1}", 0, kCorrupt, "not valid JSON"},
      {"AList", "[]", 0, kCorrupt, "must be a JSON object"},
      {"Nothing", "", 0, kCorrupt, "not valid JSON"},
      {"Deep", "{\"a\":" + std::string(100'000, '['), 0, kCorrupt, "levels deep"},
      {"DuplicateTensor", "{" + good + "," + good + "}", 8, kCorrupt, "\"a\" twice"},
      {"DuplicateField", R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, kCorrupt,
       "\"dtype\" twice"},
      {"DuplicateMetadata", R"({"__metadata__":{"k":"1","k":"2"}})", 0, kCorrupt, "\"k\" twice"},
      {"MetadataNumber", R"({"__metadata__":{"k":1}})", 0, kCorrupt, "must hold texts"},
      {"MetadataList", R"({"__metadata__":[]})", 0, kCorrupt, "object of texts"},
      {"EntryIsNumber", R"({"a":3})", 0, kCorrupt, "must be an object; found 3"},
      {"UnknownField", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"stride":1}})", 8, kCorrupt,
       "\"stride\""},
      {"NoDtype", R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8, kCorrupt, "has no \"dtype\""},
      {"NoShape", R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8, kCorrupt, "has no \"shape\""},
      {"NoOffsets", R"({"a":{"dtype":"F32","shape":[2]}})", 8, kCorrupt, "has no \"data_offsets\""},
      {"DtypeNumber", R"({"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}})", 8, kCorrupt, "must be a text"},
      {"UnknownDtype", "{" + entry("a", "F8_E4M3", "[8]", "[0,8]") + "}", 8, kUnsupported, "\"F8_E4M3\""},
      {"ShapeText", "{" + entry("a", "F32", "\"2\"", "[0,8]") + "}", 8, kCorrupt, "must be a list"},
      {"NegativeShape", "{" + entry("a", "F32", "[-2]", "[0,8]") + "}", 8, kCorrupt, "found -2"},
      {"FractionalShape", "{" + entry("a", "F32", "[2.0]", "[0,8]") + "}", 8, kCorrupt, "found 2.0"},
      {"HugeShape", "{" + entry("a", "F32", "[9223372036854775808]", "[0,8]") + "}", 8, kCorrupt,
       "9223372036854775808"},
      {"OverflowingShape", "{" + entry("a", "U8", "[4294967296,4294967296]", "[0,0]") + "}", 0, kCorrupt, "overflows"},
      {"OverflowingBytes", "{" + entry("a", "F64", "[4611686018427387904]", "[0,0]") + "}", 0, kCorrupt, "overflows"},
      {"OneOffset", "{" + entry("a", "F32", "[2]", "[0]") + "}", 8, kCorrupt, "[begin, end]"},
      {"ThreeOffsets", "{" + entry("a", "F32", "[2]", "[0,8,16]") + "}", 8, kCorrupt, "[begin, end]"},
      {"NegativeOffset", "{" + entry("a", "F32", "[2]", "[-8,0]") + "}", 8, kCorrupt, "found -8"},
      {"HugeOffset", "{" + entry("a", "F32", "[2]", "[18446744073709551608,18446744073709551615]") + "}", 8, kCorrupt,
       "2^63-1"},
      {"BackwardOffsets", "{" + entry("a", "F32", "[2]", "[8,0]") + "}", 8, kCorrupt, "ends before"},
      {"PastTheEnd", "{" + entry("a", "F32", "[4]", "[0,16]") + "}", 8, kCorrupt, "ends at byte 16"},
      {"WrongSize", "{" + entry("a", "F32", "[3]", "[0,8]") + "}", 8, kCorrupt, "takes 12 bytes"},
      {"Overlap", "{" + good + "," + entry("b", "F32", "[2]", "[4,12]") + "}", 12, kCorrupt, "they overlap"},
      {"SameBytes", "{" + good + "," + entry("b", "F32", "[2]", "[0,8]") + "}", 8, kCorrupt, "they overlap"},
      {"Gap", "{" + good + "," + entry("b", "F32", "[1]", "[12,16]") + "}", 16, kCorrupt, "there is a gap"},
      {"StartsLate", "{" + entry("a", "F32", "[1]", "[4,8]") + "}", 8, kCorrupt, "expected 0"},
      {"BytesLeftOver", "{" + good + "}", 9, kCorrupt, "end at byte 8"},
  };
}

class SafetensorsHostile : public ::testing::TestWithParam<Hostile> {};

TEST_P(SafetensorsHostile, IsRefusedWithASentence) {
  const Hostile& hostile = GetParam();
  const TemporaryFolder folder;
  const auto path = folder / "hostile.safetensors";
  write_file_atomically(path, raw_file(hostile.header, std::string(hostile.data_bytes, '\0')));
  const Error error = error_of([&] { SafetensorsFile::open(path); });
  EXPECT_EQ(error.code(), hostile.code) << error.what();
  EXPECT_THAT(error.what(), AllOf(HasSubstr(path.string()), HasSubstr(hostile.said)));
  EXPECT_LT(std::strlen(error.what()), 600u);
}

INSTANTIATE_TEST_SUITE_P(Table, SafetensorsHostile, ::testing::ValuesIn(hostile_headers()),
                         [](const auto& of) { return of.param.name; });

TEST(Safetensors, HeaderLengthsThatCannotBe) {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  const auto said = [&](std::string_view file) {
    write_file_atomically(path, file);
    const Error error = error_of([&] { SafetensorsFile::open(path); });
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    return std::string(error.what());
  };
  EXPECT_THAT(said("abc"), HasSubstr("has 3 bytes"));
  EXPECT_THAT(said(""), HasSubstr("empty"));
  std::string file = raw_file("{}", "");
  file[0] = 3;
  EXPECT_THAT(said(file), AllOf(HasSubstr("header of 3 bytes"), HasSubstr("only 2 follow")));
  EXPECT_THAT(said(std::string(16, '\xff')), HasSubstr("18446744073709551615"));
  const Error absent = error_of([&] { SafetensorsFile::open(folder / "absent.safetensors"); });
  EXPECT_EQ(absent.code(), ErrorCode::kNotFound);
}

// Whatever the cut, the answer is an error: no prefix of a file passes for the file.
TEST(Safetensors, EveryTruncationIsRefused) {
  const TemporaryFolder folder;
  const std::string whole = read_file(PALIMPSEST_TEST_DATA "/safetensors/data/reference.safetensors");
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    write_file_atomically(folder / "cut", std::string_view(whole).substr(0, size));
    EXPECT_THROW(SafetensorsFile::open(folder / "cut"), Error) << size;
  }
}

}  // namespace
}  // namespace palimpsest::model
