#include "results/merge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/sample_table.hpp"
#include "support/error_of.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::results {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Merge : public ::testing::Test {
 protected:
  std::filesystem::path cell(const std::string& id, std::string_view path, int rows, std::string unit = "nat") {
    Table table{std::string(path),
                "one measurement",
                {{"cell", "", "id of the cell", std::vector<std::string>()},
                 {"logp", std::move(unit), "log-probability", std::vector<double>()}}};
    for (int row = 0; row < rows; ++row) table.append_row({id, -1.5 * row});
    Writer writer;
    writer.table(table);
    writer.commit(folder_ / (id + ".h5"));
    return folder_ / (id + ".h5");
  }
  TemporaryFolder folder_;
};

TEST_F(Merge, ConcatenatesInTheGivenOrder) {
  const std::vector<std::filesystem::path> files{cell("b", "/metrics/m", 2), cell("other", "/metrics/n", 1),
                                                 cell("none", "/metrics/m", 0), cell("a", "/metrics/m", 1)};
  const Table merged = merge_tables(files, "/metrics/m");
  EXPECT_EQ(merged.name, "/metrics/m");
  EXPECT_EQ(merged.definition, "one measurement");
  EXPECT_THAT(merged.values<std::string>("cell"), ElementsAre("b", "b", "a"));
  EXPECT_THAT(merged.values<double>("logp"), ElementsAre(0.0, -1.5, 0.0));
}

TEST_F(Merge, TablesThatDoNotFitNameTheFile) {
  const std::vector<std::filesystem::path> files{cell("a", "/m", 2), cell("b", "/m", 1, "bit")};
  EXPECT_THAT(error_of([&] { merge_tables(files, "/m"); }).what(), AllOf(HasSubstr("b.h5"), HasSubstr("\"bit\"")));
  EXPECT_EQ(error_of([&] { merge_tables(files, "/absent"); }).code(), ErrorCode::kNotFound);
  const std::vector<std::filesystem::path> gone{folder_ / "gone.h5"};
  EXPECT_THAT(error_of([&] { merge_tables(gone, "/m"); }).what(), HasSubstr("gone.h5"));
}

TEST_F(Merge, CopyGroupCopiesEverythingBelow) {
  Writer writer;
  writer.group("/updates/empty");
  writer.attribute("/updates/empty", "why", std::string("nothing was edited"));
  writer.table(sample_table("/updates/list", 2500));
  writer.attribute("/updates/list", "editor", std::string("rome"));
  writer.attribute("/updates/list/logp", "aggregate", std::string("mean"));
  const std::vector<float> values{1, 2, 3, 4};
  writer.array("/updates/0/u", std::vector<std::int64_t>{2, 2}, std::span<const float>(values));
  writer.attribute("/updates/0/u", "side", std::string("left"));
  writer.commit(folder_ / "from.h5");
  const Reader from(folder_ / "from.h5");

  Writer copy;
  copy_group(from, "/updates", copy, "/cells/c0/updates");
  copy.commit(folder_ / "to.h5");
  const Reader to(folder_ / "to.h5");
  Table expected = sample_table("/cells/c0/updates/list", 2500);
  EXPECT_EQ(to.table("/cells/c0/updates/list"), expected);
  EXPECT_EQ(to.array("/cells/c0/updates/0/u"), from.array("/updates/0/u"));
  for (const std::string path : {"/empty", "/list", "/list/logp", "/list/all_top1", "/0", "/0/u"}) {
    EXPECT_EQ(to.attributes("/cells/c0/updates" + path), from.attributes("/updates" + path)) << path;
  }
  EXPECT_EQ(to.attributes("/cells/c0/updates/empty").size(), 1u);

  Writer whole;
  copy_group(from, "/", whole, "/");
  whole.commit(folder_ / "whole.h5");
  EXPECT_EQ(Reader(folder_ / "whole.h5").table("/updates/list"), from.table("/updates/list"));
  EXPECT_EQ(error_of([&] { copy_group(from, "/absent", whole, "/x"); }).code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace palimpsest::results
