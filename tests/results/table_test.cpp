#include "results/table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "results/sample_table.hpp"
#include "support/error_of.hpp"

namespace palimpsest::results {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Table, RowsAndColumns) {
  const Table table = sample_table("/t");
  EXPECT_EQ(table.rows(), 4u);
  EXPECT_EQ(table.values<std::int64_t>("step")[3], 3'000'000'000'000);
  EXPECT_EQ(table.values<std::string>("fact")[1], "Größe – 東京 🗼");
  EXPECT_TRUE(static_cast<bool>(table.values<Bool>("all_top1")[1]));
  EXPECT_EQ(table.find("absent"), nullptr);
  EXPECT_THAT(error_of([&] { table.at("setp"); }).what(),
              AllOf(HasSubstr("did you mean \"step\""), HasSubstr("logp, fact")));
  EXPECT_THAT(error_of([&] { table.values<double>("step"); }).what(), HasSubstr("holds int64"));
}

TEST(Table, EqualityIsOfAllThatIsWritten) {
  const Table table = sample_table("/t");
  EXPECT_EQ(table, sample_table("/t"));  // NaN equals NaN
  const auto differs = [&](const std::function<void(Table&)>& change) {
    Table other = table;
    change(other);
    return !(other == table);
  };
  EXPECT_TRUE(differs([](Table& t) { t.name = "/u"; }));
  EXPECT_TRUE(differs([](Table& t) { t.definition += "."; }));
  EXPECT_TRUE(differs([](Table& t) { t.columns[0].unit = "s"; }));
  EXPECT_TRUE(differs([](Table& t) { t.columns[0].definition = "s"; }));
  EXPECT_TRUE(differs([](Table& t) { std::get<1>(t.columns[1].values)[2] = 0; }));
  EXPECT_TRUE(differs([](Table& t) { std::get<3>(t.columns[3].values)[0] = true; }));
  EXPECT_TRUE(differs([](Table& t) { t.columns.pop_back(); }));
}

TEST(Table, ARowOfAnotherTypeLeavesTheTableAsItWas) {
  Table table = sample_table("/t");
  EXPECT_THAT(error_of([&] { table.append_row({1, 2.0, "x", 1}); }).what(),
              AllOf(HasSubstr("/t"), HasSubstr("all_top1 takes bool; given int64")));
  EXPECT_THAT(error_of([&] { table.append_row({1, 2, "x", true}); }).what(),
              HasSubstr("logp takes float64; given int64"));
  EXPECT_THAT(error_of([&] { table.append_row({1, 2.0}); }).what(), HasSubstr("2 values"));
  EXPECT_EQ(table, sample_table("/t"));
}

TEST(Table, AppendConcatenatesAndChecks) {
  Table table = sample_table("/t", 2);
  table.append(sample_table("/other", 3));
  EXPECT_EQ(table.rows(), 5u);
  EXPECT_EQ(table.name, "/t");
  EXPECT_EQ(table.values<std::int64_t>("step")[4], 2'000'000'000'000);
  table.append(table);
  EXPECT_EQ(table.rows(), 10u);
  const auto said = [&](const std::function<void(Table&)>& change) {
    Table other = sample_table("/t", 1);
    change(other);
    const std::string what = error_of([&] { table.append(other); }).what();
    EXPECT_EQ(table.rows(), 10u);
    return what;
  };
  EXPECT_THAT(said([](Table& t) { t.columns.pop_back(); }), HasSubstr("3 columns; expected 4"));
  EXPECT_THAT(said([](Table& t) { t.columns[1].name = "x"; }), HasSubstr("\"x\"; expected \"logp\""));
  EXPECT_THAT(said([](Table& t) { t.columns[1].unit = "bit"; }), HasSubstr("\"bit\"; expected \"nat\""));
  EXPECT_THAT(said([](Table& t) { t.columns[1].definition = "other"; }), HasSubstr("defined as \"other\""));
  EXPECT_THAT(said([](Table& t) { t.columns[0].values = std::vector<double>{1}; }),
              HasSubstr("float64; expected int64"));
}

TEST(Table, CheckRefusesWhatReadersCouldNotSayBack) {
  const auto said = [&](const std::function<void(Table&)>& change) {
    Table table = sample_table("/t");
    change(table);
    const Error error = error_of([&] { table.check(); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return std::string(error.what());
  };
  EXPECT_THAT(said([](Table& t) { t.name = "t"; }), HasSubstr("starts with \"/\""));
  EXPECT_THAT(said([](Table& t) { t.name = "/"; }), HasSubstr("root"));
  EXPECT_THAT(said([](Table& t) { t.name = "/a//b"; }), HasSubstr("empty part"));
  EXPECT_THAT(said([](Table& t) { t.name = "/a/"; }), HasSubstr("empty part"));
  EXPECT_THAT(said([](Table& t) { t.name = "/a/../b"; }), HasSubstr("not names"));
  EXPECT_THAT(said([](Table& t) { t.name = "/a b"; }), HasSubstr("letters, digits"));
  // The names of cells are paths below /updates/data and /provenance.
  EXPECT_NO_THROW(sample_table("/updates/data/frozen,learning_rate=1e-4+2,r0").check());
  EXPECT_THAT(said([](Table& t) { t.columns[0].name = "2nd"; }), HasSubstr("\"2nd\""));
  EXPECT_THAT(said([](Table& t) { t.columns[0].name = "a/b"; }), HasSubstr("\"a/b\""));
  EXPECT_THAT(said([](Table& t) { t.columns[0].name = "row"; }), HasSubstr("row scale"));
  EXPECT_THAT(said([](Table& t) { t.columns[0].name = "logp"; }), HasSubstr("two columns"));
  EXPECT_THAT(said([](Table& t) { t.columns[0].definition = ""; }), HasSubstr("no definition"));
  EXPECT_THAT(said([](Table& t) { t.columns.clear(); }), HasSubstr("no columns"));
  EXPECT_THAT(said([](Table& t) { std::get<1>(t.columns[1].values).pop_back(); }), HasSubstr("logp has 3 rows"));
  const auto text = [&](std::string bad) { return said([&](Table& t) { std::get<2>(t.columns[2].values)[1] = bad; }); };
  EXPECT_THAT(text("ab\xff"), AllOf(HasSubstr("column fact, row 1"), HasSubstr("not UTF-8 at byte 2")));
  EXPECT_THAT(text(std::string("a\0b", 3)), HasSubstr("NUL character at byte 1"));
  EXPECT_THAT(text("\xc0\x80"), HasSubstr("not UTF-8"));          // overlong
  EXPECT_THAT(text("\xed\xa0\x80"), HasSubstr("not UTF-8"));      // surrogate
  EXPECT_THAT(text("\xf4\x90\x80\x80"), HasSubstr("not UTF-8"));  // above U+10FFFF
  EXPECT_THAT(text("\xe6\x9d"), HasSubstr("not UTF-8"));          // cut
}

}  // namespace
}  // namespace palimpsest::results
