#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

#include "base/files.hpp"
#include "results/handles.hpp"
#include "results/provenance.hpp"
#include "results/reader.hpp"
#include "results/sample_table.hpp"
#include "results/writer.hpp"
#include "support/error_of.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::results {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(RoundTrip, TablesOfEveryType) {
  const TemporaryFolder folder;
  // 3,000 rows pass the size from which numbers are chunked and compressed.
  const Table small = sample_table("/summary"), large = sample_table("/metrics/retention", 3000),
              none = empty_table("/none");
  Writer writer;
  writer.table(large);
  writer.table(none);
  writer.table(small);
  writer.commit(folder / "cell.h5");
  const Reader reader(folder / "cell.h5");
  EXPECT_EQ(reader.table("/summary"), small);
  EXPECT_EQ(reader.table("/metrics/retention"), large);
  EXPECT_EQ(reader.table("/none"), none);
  EXPECT_THAT(reader.tables(), ElementsAre("/metrics/retention", "/none", "/summary"));
  EXPECT_THAT(reader.children("/"), ElementsAre("metrics", "none", "summary"));
  EXPECT_EQ(reader.kind("/metrics"), Kind::kGroup);
  EXPECT_EQ(reader.kind("/none"), Kind::kTable);
}

TEST(RoundTrip, ExtremeNumbers) {
  const TemporaryFolder folder;
  using Int = std::numeric_limits<std::int64_t>;
  using Float = std::numeric_limits<double>;
  Table table{
      "/t",
      "",
      {{"i", "1", "integers", std::vector<std::int64_t>{Int::min(), Int::max(), 0}},
       {"d", "1", "numbers", std::vector<double>{Float::denorm_min(), -Float::infinity(), Float::quiet_NaN()}}}};
  Writer writer;
  writer.table(table);
  writer.commit(folder / "x.h5");
  EXPECT_EQ(Reader(folder / "x.h5").table("/t"), table);
}

TEST(RoundTrip, Attributes) {
  const TemporaryFolder folder;
  Writer writer;
  writer.group("/training/dose");
  writer.table(sample_table("/summary"));
  const std::string toml(200'000, 'x');  // longer than a compact attribute may be
  writer.attribute("/", "resolved_toml", toml + "é");
  writer.attribute("/training/dose", "tokens", std::int64_t{64'000});
  writer.attribute("/training/dose", "rate", 1e-5);
  writer.attribute("/training/dose", "layers", std::vector<std::string>{"5", "", "ö"});
  writer.attribute("/training/dose", "nothing", std::vector<std::string>{});
  writer.attribute("/training/dose", "empty", std::string());
  writer.attribute("/summary/logp", "aggregate", std::string("mean"));
  writer.commit(folder / "x.h5");
  const Reader reader(folder / "x.h5");
  EXPECT_EQ(reader.attribute<std::string>("/", "resolved_toml"), toml + "é");
  EXPECT_EQ(reader.attribute<std::int64_t>("/", kSchemaAttribute), kSchemaVersion);
  EXPECT_EQ(reader.attribute<std::string>("/summary/logp", "aggregate"), "mean");
  EXPECT_THAT(reader.attributes("/training/dose"),
              ElementsAre(Pair("empty", Attribute(std::string())),
                          Pair("layers", Attribute(std::vector<std::string>{"5", "", "ö"})),
                          Pair("nothing", Attribute(std::vector<std::string>{})), Pair("rate", Attribute(1e-5)),
                          Pair("tokens", Attribute(std::int64_t{64'000}))));
  EXPECT_THAT(error_of([&] { reader.attribute<double>("/training/dose", "tokens"); }).what(),
              HasSubstr("another type"));
  EXPECT_THAT(error_of([&] { reader.attribute<double>("/training/dose", "rat"); }).what(),
              HasSubstr("did you mean \"rate\""));
}

TEST(RoundTrip, Arrays) {
  const TemporaryFolder folder;
  std::vector<float> weights(300 * 7);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 0.25f * static_cast<float>(i);
  const std::vector<double> scalar{3.5};
  const std::vector<std::int64_t> ids{-1, 2, 3, 4, 5, 6};
  Writer writer;
  writer.array("/updates/0/u", std::vector<std::int64_t>{300, 7}, std::span<const float>(weights));
  writer.array("/updates/0/scale", {}, std::span<const double>(scalar));
  writer.array("/updates/0/ids", std::vector<std::int64_t>{1, 3, 2}, std::span<const std::int64_t>(ids));
  writer.array("/updates/0/none", std::vector<std::int64_t>{0, 4}, std::span<const float>());
  writer.attribute("/updates/0/u", "parameter", std::string("layers.5.mlp.down.weight"));
  writer.commit(folder / "x.h5");
  const Reader reader(folder / "x.h5");
  EXPECT_EQ(reader.array("/updates/0/u"), (Array{{300, 7}, weights}));
  EXPECT_EQ(reader.array("/updates/0/scale"), (Array{{}, scalar}));
  EXPECT_EQ(reader.array("/updates/0/ids"), (Array{{1, 3, 2}, ids}));
  EXPECT_EQ(reader.array("/updates/0/none"), (Array{{0, 4}, std::vector<float>()}));
  EXPECT_EQ(reader.kind("/updates/0/u"), Kind::kArray);
  EXPECT_EQ(reader.attribute<std::string>("/updates/0/u", "parameter"), "layers.5.mlp.down.weight");
  EXPECT_TRUE(reader.tables().empty());
}

TEST(RoundTrip, ProvenanceComesBackAndHoldsOnlyWhatWasGiven) {
  const TemporaryFolder folder;
  Provenance provenance;
  provenance.resolved_toml = "[run]\nseed = 3\n# Ünïcode\n";
  provenance.seed = 3;
  provenance.git_commit = "0123abcd";
  provenance.plugins = {{"editor", "rome", "1.0", std::string(64, 'a')}, {"task", "language_modeling", "0.2", "b"}};
  provenance.digests = {{"model", "c"}, {"facts", "d"}};
  provenance.libraries = {{"hdf5", hdf5_version()}, {"libtorch", "2.13.0"}};
  provenance.settings = {{"threads", std::int64_t{2}}, {"dtype", std::string("float32")}};
  Writer writer;
  write_provenance(writer, provenance);
  writer.commit(folder / "x.h5");
  const Reader reader(folder / "x.h5");
  EXPECT_EQ(read_provenance(reader), provenance);
  EXPECT_EQ(reader.attributes("/").size(), 6u);
  EXPECT_THAT(hdf5_version(), ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST(WriterRefuses, WhatTheLayoutDoesNotHold) {
  Writer writer;
  const std::vector<float> one{1};
  const std::span<const float> values(one);
  const std::vector<std::int64_t> shape{1};
  writer.table(sample_table("/summary"));
  writer.array("/updates/u", shape, values);
  const auto said = [&](auto&& action) {
    const Error error = error_of(action);
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    return std::string(error.what());
  };
  EXPECT_THAT(said([&] { writer.table(sample_table("/summary")); }), HasSubstr("/summary is in the file already"));
  EXPECT_THAT(said([&] { writer.table(sample_table("/updates")); }), HasSubstr("groups of their own"));
  EXPECT_THAT(said([&] { writer.table(sample_table("/updates/u")); }), HasSubstr("in the file already"));
  EXPECT_THAT(said([&] { writer.table(sample_table("/summary/below")); }), HasSubstr("is a table"));
  EXPECT_THAT(said([&] { writer.array("/summary/u", shape, values); }), HasSubstr("is a table"));
  EXPECT_THAT(said([&] { writer.group("/updates/u/v"); }), HasSubstr("is an array"));
  EXPECT_THAT(said([&] { writer.array("/updates/u", shape, values); }), HasSubstr("in the file already"));
  EXPECT_THAT(said([&] { writer.array("/u", shape, values); }), HasSubstr("root group"));
  EXPECT_THAT(said([&] { writer.array("/a/b", std::vector<std::int64_t>{2}, values); }),
              HasSubstr("asks for 2 values; given 1"));
  EXPECT_THAT(said([&] { writer.array("/a/c", std::vector<std::int64_t>{-1}, values); }), HasSubstr("axis of -1"));
  const std::vector<float> large(kMaxArrayBytes / sizeof(float) + 1);
  EXPECT_THAT(said([&] {
                writer.array("/a/d", std::vector<std::int64_t>{std::int64_t(large.size())},
                             std::span<const float>(large));
              }),
              HasSubstr("safetensors"));
  EXPECT_THAT(said([&] { writer.attribute("/absent", "a", std::int64_t{1}); }), HasSubstr("not in the file"));
  EXPECT_THAT(said([&] { writer.attribute("/summary/absent", "a", std::int64_t{1}); }), HasSubstr("/summary/absent"));
  EXPECT_THAT(said([&] { writer.attribute("/", kSchemaAttribute, std::int64_t{1}); }), HasSubstr("written before"));
  EXPECT_THAT(said([&] { writer.attribute("/summary/logp", "unit", std::string("s")); }), HasSubstr("written before"));
  EXPECT_THAT(said([&] { writer.attribute("/", "DIMENSION_LIST", std::string("s")); }), HasSubstr("reserved"));
  EXPECT_THAT(said([&] { writer.attribute("/", "a b", std::string("s")); }), HasSubstr("\"a b\""));
  EXPECT_THAT(said([&] { writer.attribute("/", "a", std::string("\xff")); }), HasSubstr("not UTF-8"));
  EXPECT_THAT(said([&] { writer.attribute("/", "a", std::vector<std::string>(5000)); }), HasSubstr("use a table"));
}

TEST(ReaderRefuses, FilesThatAreNotResults) {
  const TemporaryFolder folder;
  const auto refused = [&](std::string_view name) { return error_of([&] { Reader reader(folder / name); }); };
  EXPECT_EQ(refused("absent.h5").code(), ErrorCode::kNotFound);
  std::filesystem::create_directory(folder / "folder.h5");
  EXPECT_THAT(refused("folder.h5").what(), HasSubstr("not a regular file"));
  write_file_atomically(folder / "text.h5", std::string_view("cell,step\n1,2\n"));
  EXPECT_THAT(refused("text.h5").what(), AllOf(HasSubstr("text.h5"), HasSubstr("not an HDF5 file")));
  write_file_atomically(folder / "empty.h5", std::string_view(""));
  EXPECT_THAT(refused("empty.h5").what(), HasSubstr("empty.h5"));
  {
    const hdf5::File foreign(H5Fcreate((folder / "foreign.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    const hdf5::File newer(H5Fcreate((folder / "newer.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    const hdf5::Space scalar(H5Screate(H5S_SCALAR));
    const hdf5::AttributeHandle version(
        H5Acreate2(newer, std::string(kSchemaAttribute).c_str(), H5T_STD_I64LE, scalar, H5P_DEFAULT, H5P_DEFAULT));
    const std::int64_t number = kSchemaVersion + 1;
    ASSERT_GE(H5Awrite(version, H5T_NATIVE_INT64, &number), 0);
  }
  EXPECT_THAT(refused("foreign.h5").what(), HasSubstr("not a Palimpsest results file"));
  EXPECT_EQ(refused("newer.h5").code(), ErrorCode::kUnsupported);
  EXPECT_THAT(refused("newer.h5").what(), AllOf(HasSubstr("schema 2"), HasSubstr("reads 1")));
}

TEST(ReaderRefuses, TruncatedFiles) {
  const TemporaryFolder folder;
  Writer writer;
  writer.table(sample_table("/summary", 500));
  writer.commit(folder / "whole.h5");
  const std::string whole = read_file(folder / "whole.h5");
  for (const double share : {0.02, 0.1, 0.5, 0.9, 0.999}) {
    write_file_atomically(folder / "cut.h5",
                          std::string_view(whole).substr(0, std::size_t(share * double(whole.size()))));
    const Error error = error_of([&] { Reader(folder / "cut.h5").table("/summary"); });
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << share;
    EXPECT_THAT(error.what(), AllOf(HasSubstr("cut.h5"), HasSubstr("truncated"))) << share;
  }
}

TEST(ReaderRefuses, PathsThatAreNotThereAndDataOfOtherFiles) {
  const TemporaryFolder folder;
  Writer writer;
  writer.table(sample_table("/summary"));
  writer.array("/updates/u", {}, std::span<const double>(std::vector<double>{1}));
  writer.commit(folder / "x.h5");
  {
    const hdf5::File file(H5Fopen((folder / "x.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
    ASSERT_GE(H5Lcreate_external("other.h5", "/summary", file, "/outside", H5P_DEFAULT, H5P_DEFAULT), 0);
    ASSERT_GE(H5Lcreate_soft("/summary", file, "/soft", H5P_DEFAULT, H5P_DEFAULT), 0);
    const hsize_t one = 8;
    const hdf5::Space space(H5Screate_simple(1, &one, nullptr));
    const hdf5::Properties creation(H5Pcreate(H5P_DATASET_CREATE));
    ASSERT_GE(H5Pset_external(creation, "/etc/hostname", 0, 64), 0);
    const hdf5::Dataset leak(H5Dcreate2(file, "/leak", H5T_STD_I64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
  }
  const Reader reader(folder / "x.h5");
  const auto said = [&](std::string_view path) { return std::string(error_of([&] { reader.table(path); }).what()); };
  EXPECT_THAT(said("/sumary"), AllOf(HasSubstr("has no /sumary"), HasSubstr("did you mean \"/summary\"")));
  EXPECT_THAT(said("/a/b/c"), HasSubstr("has no /a/b/c"));
  EXPECT_THAT(said("/summary/logp/x"), HasSubstr("has no"));
  EXPECT_THAT(said("/updates"), HasSubstr("is not a table"));
  EXPECT_THAT(said("summary"), HasSubstr("starts with"));
  EXPECT_THAT(said("/outside"), HasSubstr("external link"));
  EXPECT_THAT(said("/soft"), HasSubstr("external link"));
  EXPECT_THAT(error_of([&] { reader.array("/leak"); }).what(), HasSubstr("another file"));
  EXPECT_THAT(error_of([&] { reader.array("/summary"); }).what(), HasSubstr("not a dataset"));
  EXPECT_FALSE(reader.has("/summary/absent"));
  EXPECT_TRUE(reader.has("/summary/logp"));
}

// A file-size limit stands in for the full disk: write(2) fails part of the way either way.
TEST(Commit, AFullDiskLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  Writer first;
  first.table(sample_table("/summary"));
  first.commit(folder / "x.h5");
  const std::string before = read_file(folder / "x.h5");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{8192, 8192};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int status = 1;
    try {
      Writer writer;
      writer.table(sample_table("/summary", 2000));
      writer.commit(folder / "x.h5");
    } catch (const Error& error) {
      status = error.code() == ErrorCode::kIo && std::string(error.what()).find("x.h5") != std::string::npos ? 0 : 2;
    }
    ::_exit(status);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(read_file(folder / "x.h5"), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Commit, AFolderThatCannotBeMadeIsAnError) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", std::string_view("x"));
  Writer writer;
  EXPECT_EQ(error_of([&] { writer.commit(folder / "file/x.h5"); }).code(), ErrorCode::kIo);
}

}  // namespace
}  // namespace palimpsest::results
