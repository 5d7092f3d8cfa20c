// The rules of the file format, asked of HDF5 itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/files.hpp"
#include "results/handles.hpp"
#include "results/sample_table.hpp"
#include "results/writer.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::results {
namespace {

constexpr int kRows = 3000;

std::vector<std::byte> build() {
  Writer writer;
  writer.attribute("/", "seed", std::int64_t{1});
  writer.table(sample_table("/metrics/retention", kRows));
  writer.table(empty_table("/summary"));
  const std::vector<float> values(5000, 0.5f);
  writer.array("/updates/u", std::vector<std::int64_t>{50, 100}, std::span<const float>(values));
  return writer.image();
}

class Format : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file_atomically(folder_ / "x.h5", build());
    file_ = hdf5::File(H5Fopen((folder_ / "x.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
    ASSERT_GE(file_, 0);
  }
  hdf5::Dataset dataset(const std::string& path) {
    hdf5::Dataset opened(H5Dopen2(file_, path.c_str(), H5P_DEFAULT));
    EXPECT_GE(opened, 0) << path;
    return opened;
  }
  TemporaryFolder folder_;
  hdf5::File file_;
};

TEST(FormatBytes, EqualCallsGiveEqualBytes) {
  const auto first = build();
  // Longer than the resolution of any time that HDF5 could write.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  const auto second = build();
  ASSERT_EQ(first.size(), second.size());
  EXPECT_EQ(first, second);
}

TEST(FormatBytes, AnImageTakenOnTheWayChangesNothing) {
  const auto make = [](bool early) {
    Writer writer;
    writer.table(sample_table("/a"));
    if (early) writer.image();
    writer.table(sample_table("/b"));
    return writer.image();
  };
  EXPECT_EQ(make(true), make(true));
  const TemporaryFolder folder;
  write_file_atomically(folder / "x.h5", make(true));
  const hdf5::File file(H5Fopen((folder / "x.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  EXPECT_GT(H5Lexists(file, "/b", H5P_DEFAULT), 0);
}

TEST_F(Format, EveryAxisOfATableHasTheRowScale) {
  for (const std::string table : {"/metrics/retention", "/summary"}) {
    const hdf5::Dataset row = dataset(table + "/row");
    EXPECT_GT(H5DSis_scale(row), 0);
    char name[16] = {};
    H5DSget_scale_name(row, name, sizeof name);
    EXPECT_STREQ(name, "row");
    for (const std::string column : {"step", "logp", "fact", "all_top1"}) {
      const hdf5::Dataset data = dataset(table + "/" + column);
      EXPECT_EQ(H5DSget_num_scales(data, 0), 1) << column;
      EXPECT_GT(H5DSis_attached(data, row, 0), 0) << column;
      EXPECT_EQ(H5Sget_simple_extent_ndims(hdf5::Space(H5Dget_space(data))), 1);
    }
  }
}

TEST_F(Format, NothingCarriesATime) {
  for (const std::string path : {"/", "/metrics", "/metrics/retention", "/metrics/retention/row",
                                 "/metrics/retention/fact", "/summary/logp", "/updates", "/updates/u"}) {
    const hdf5::Object object(H5Oopen(file_, path.c_str(), H5P_DEFAULT));
#if H5_VERSION_GE(1, 12, 0)
    H5O_info2_t info{};
    ASSERT_GE(H5Oget_info3(object, &info, H5O_INFO_TIME), 0);
#else
    H5O_info_t info{};
    ASSERT_GE(H5Oget_info2(object, &info, H5O_INFO_TIME), 0);
#endif
    EXPECT_EQ(info.mtime, 0) << path;
    EXPECT_EQ(info.ctime, 0) << path;
    EXPECT_EQ(info.atime, 0) << path;
    EXPECT_EQ(info.btime, 0) << path;
  }
}

TEST_F(Format, OpensInOldReaders) {
  H5F_info2_t info;
  ASSERT_GE(H5Fget_info2(file_, &info), 0);
  EXPECT_EQ(info.super.version, 0u);  // 2 and 3 are the formats of 1.8 and of SWMR
  unsigned order = 0;
  const hdf5::Group group(H5Gopen2(file_, "/metrics/retention", H5P_DEFAULT));
  H5Pget_link_creation_order(hdf5::Properties(H5Gget_create_plist(group)), &order);
  EXPECT_EQ(order, unsigned{H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED});
}

TEST_F(Format, FiltersAreShuffleAndGzipOnNumbersOnly) {
  const auto filters = [&](const std::string& path) {
    const hdf5::Properties creation(H5Dget_create_plist(dataset(path)));
    std::vector<H5Z_filter_t> found;
    for (int i = 0; i < H5Pget_nfilters(creation); ++i) {
      unsigned flags = 0, config = 0;
      std::size_t values = 0;
      found.push_back(H5Pget_filter2(creation, unsigned(i), &flags, &values, nullptr, 0, nullptr, &config));
    }
    return found;
  };
  EXPECT_THAT(filters("/metrics/retention/step"), ::testing::ElementsAre(H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE));
  EXPECT_THAT(filters("/metrics/retention/logp"), ::testing::ElementsAre(H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE));
  EXPECT_THAT(filters("/updates/u"), ::testing::ElementsAre(H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE));
  EXPECT_THAT(filters("/metrics/retention/fact"), ::testing::IsEmpty());
  EXPECT_THAT(filters("/summary/step"), ::testing::IsEmpty());
}

TEST_F(Format, TextsAreVariableLengthUtf8AndTruthsAreMarkedBytes) {
  const hdf5::Type text(H5Dget_type(dataset("/metrics/retention/fact")));
  EXPECT_GT(H5Tis_variable_str(text), 0);
  EXPECT_EQ(H5Tget_cset(text), H5T_CSET_UTF8);
  const hdf5::Dataset truths = dataset("/metrics/retention/all_top1");
  EXPECT_GT(H5Tequal(hdf5::Type(H5Dget_type(truths)), H5T_STD_I8LE), 0);
  const hdf5::AttributeHandle dtype(H5Aopen(truths, "dtype", H5P_DEFAULT));
  const hdf5::Type type(H5Aget_type(dtype));
  char* value = nullptr;
  ASSERT_GE(H5Aread(dtype, type, &value), 0);
  EXPECT_STREQ(value, "bool");
  H5free_memory(value);
}

}  // namespace
}  // namespace palimpsest::results
