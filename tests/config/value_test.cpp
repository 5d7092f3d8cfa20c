#include "config/value.hpp"

#include <cstring>

#include "config/document.hpp"
#include "support.hpp"

namespace palimpsest::config {
namespace {

using testing::Folder;
using testing::message_of;

Table parse(const std::string& text) {
  return parse_toml(text, std::make_shared<const Source>(Source{"t.toml", "", 0}));
}

TEST(Value, PositionsOfKeysAndValues) {
  const Table root = parse("a = 1\n[t]\n  long.er = \"\xC3\xA9\"\nlist = [1,\n 22]\n");
  EXPECT_EQ(root.find("a")->key_position.text(), "t.toml:1:1");
  EXPECT_EQ(root.find("a")->value.position.text(), "t.toml:1:5");
  const Table& t = root.find("t")->value.as<Table>();
  EXPECT_EQ(t.find("long")->key_position.text(), "t.toml:3:3");
  EXPECT_EQ(t.find("long")->value.as<Table>().find("er")->value.position.text(), "t.toml:3:13");
  EXPECT_EQ(t.find("list")->value.as<Array>()[1].position.text(), "t.toml:5:2");
}

TEST(Value, KeepsTheOrderOfTheFile) {
  const Table root = parse("z = 1\na = 2\nm = 3\n[y]\n[b]\n");
  std::vector<std::string> keys;
  for (const Entry& entry : root.entries) keys.push_back(entry.key);
  EXPECT_THAT(keys, ::testing::ElementsAre("z", "a", "m", "y", "b"));
}

TEST(Value, CanonicalTextIsSortedAndReadsBack) {
  const std::string text =
      "z = 0.1\ni = 3\nf = 3.0\nbig = 1e300\nt = true\n\"odd key\" = \"q\\\"\\n\\u0001\xC3\xA9\"\nlist = [1, [2.5, "
      "\"x\"], {b = 1, a = 2}]\n"
      "[tab.sub]\nx = 1\n[[m]]\nid = \"b\"\n[[m]]\nid = \"a\"\n[m.sub]\nq = 1\n";
  const std::string canonical = canonical_toml(parse(text));
  EXPECT_EQ(
      canonical,
      "big = 1e+300\nf = 3.0\ni = 3\nlist = [1, [2.5, \"x\"], {a = 2, b = 1}]\n\"odd key\" = "
      "\"q\\\"\\n\\u0001\xC3\xA9\"\n"
      "t = true\nz = 0.1\n\n[[m]]\nid = \"b\"\n\n[[m]]\nid = \"a\"\n\n[m.sub]\nq = 1\n\n[tab]\n\n[tab.sub]\nx = 1\n");
  EXPECT_TRUE(same(Value{parse(canonical), {}}, Value{parse(text), {}}));
  EXPECT_EQ(canonical_toml(parse(canonical)), canonical);
}

TEST(Value, FloatsRoundTrip) {
  for (const double number : {0.1, 1e-4, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, -0.0, 123456789.0, 1e22, 4.9e-5}) {
    const std::string text = inline_toml(Value{number, {}});
    const Value back = parse("x = " + text).find("x")->value;
    ASSERT_TRUE(back.is<double>()) << text;
    EXPECT_EQ(std::memcmp(&back.as<double>(), &number, sizeof number), 0) << text;
  }
}

TEST(Value, SameNeedsTypeAndContent) {
  EXPECT_TRUE(same(Value{std::int64_t{1}, {}}, Value{std::int64_t{1}, {}}));
  EXPECT_FALSE(same(Value{std::int64_t{1}, {}}, Value{1.0, {}}));
  EXPECT_TRUE(same(Value{parse("a = 1\nb = [2]"), {}}, Value{parse("b = [2]\na = 1"), {}}));
  EXPECT_FALSE(same(Value{parse("a = 1"), {}}, Value{parse("a = 1\nb = 1"), {}}));
}

TEST(Value, DescribesWithoutFloodingTheTerminal) {
  EXPECT_EQ(describe(Value{std::string(200, 'x'), {}}), "the string \"" + std::string(60, 'x') + "\"... (200 bytes)");
  EXPECT_EQ(describe(Value{std::string("a\nb"), {}}), "the string \"a\\nb\"");
  EXPECT_EQ(describe(Value{0.5, {}}), "the number 0.5");
}

TEST(Value, SplitsAndJoinsKeys) {
  EXPECT_THAT(split_key("a . \"b.c\".d-1"), ::testing::ElementsAre("a", "b.c", "d-1"));
  EXPECT_EQ(join_key({"a", "b.c", "d-1"}), "a.\"b.c\".d-1");
  const Folder folder;
  EXPECT_EQ(message_of(folder, [] { split_key("a..b"); }),
            "found the key \"a..b\" (a part is empty), expected names joined by dots, such as training.learning_rate");
  EXPECT_EQ(message_of(folder, [] { split_key(""); }),
            "found the key \"\" (a part is empty), expected names joined by dots, such as training.learning_rate");
  EXPECT_EQ(message_of(folder, [] { split_key("a b"); }),
            "found the key \"a b\" (a character other than a letter, digit, _ or - is not quoted), expected names "
            "joined by dots, "
            "such as training.learning_rate");
  EXPECT_EQ(
      message_of(folder, [] { split_key("\"a"); }),
      "found the key \"\\\"a\" (a quote is not closed), expected names joined by dots, such as training.learning_rate");
  std::string deep = "a";
  for (int i = 0; i < 64; ++i) deep += ".a";
  EXPECT_THAT(message_of(folder, [&] { split_key(deep); }), ::testing::HasSubstr("(more than 64 parts)"));
}

}  // namespace
}  // namespace palimpsest::config
