#include "config/schema.hpp"

#include "config/document.hpp"
#include "support.hpp"

namespace palimpsest::config {
namespace {

using testing::spec;

KeySpec ranged(Type type, std::optional<double> min, std::optional<double> max, bool above = false,
               bool below = false) {
  KeySpec key = spec("k", type);
  key.min = min, key.max = max, key.above_min = above, key.below_max = below;
  return key;
}

// What check_table says of `text` against one key named k; "" when it is fine.
std::string check(const std::string& text, const KeySpec& key, Table* result = nullptr) {
  static const Locations locations{"/nowhere", "/nowhere/root", "/nowhere/home"};
  const auto source = std::make_shared<const Source>(Source{"t.toml", "", 0});
  Check state{locations, true, {}, {}, {}};
  const Table checked = check_table(parse_toml(text, source), Position{source, 1, 1}, "t", {key}, state);
  if (result) *result = checked;
  return text_of(state.problems);
}

TEST(Schema, ExpectedSaysTheRange) {
  EXPECT_EQ(expected(ranged(Type::integer, 1, {})), "an integer from 1");
  EXPECT_EQ(expected(ranged(Type::number, 0, 1)), "a number from 0 to 1");
  EXPECT_EQ(expected(ranged(Type::number, 0, 1, true)), "a number above 0 and up to 1");
  EXPECT_EQ(expected(ranged(Type::number, 0, 1, false, true)), "a number from 0 and below 1");
  EXPECT_EQ(expected(ranged(Type::number, {}, 0.5)), "a number up to 0.5");
  EXPECT_EQ(expected(ranged(Type::integer_list, 0, {})), "a list of integers from 0");
  KeySpec key = spec("k", Type::string);
  key.choices = {"a", "b"};
  EXPECT_EQ(expected(key), "one of \"a\", \"b\"");
}

TEST(Schema, Types) {
  EXPECT_EQ(check("k = 1", spec("k", Type::boolean)), "t.toml:1:5: t.k: found the integer 1, expected true or false");
  EXPECT_EQ(check("k = 1.0", spec("k", Type::integer)), "t.toml:1:5: t.k: found the number 1.0, expected an integer");
  EXPECT_EQ(check("k = \"1\"", spec("k", Type::number)), "t.toml:1:5: t.k: found the string \"1\", expected a number");
  EXPECT_EQ(check("k = true", spec("k", Type::number)), "t.toml:1:5: t.k: found the boolean true, expected a number");
  EXPECT_EQ(check("k = []", spec("k", Type::string)), "t.toml:1:5: t.k: found a list, expected a string");
  EXPECT_EQ(check("k = 3", spec("k", Type::number_list)),
            "t.toml:1:5: t.k: found the integer 3, expected a list of numbers");
  EXPECT_EQ(check("k = [1,\n \"x\", 2.5]", spec("k", Type::integer_list)),
            "t.toml:2:2: t.k: found the string \"x\" in the list, expected a list of integers\n"
            "t.toml:2:7: t.k: found the number 2.5 in the list, expected a list of integers");
  EXPECT_EQ(check("k = \"a\\u0000b\"", spec("k", Type::string)),
            "t.toml:1:5: t.k: found the string \"a\\u0000b\", expected a string");
  EXPECT_EQ(check("k = {a = [1]}", spec("k", Type::any)), "");
}

TEST(Schema, AnIntegerIsANumber) {
  Table result;
  EXPECT_EQ(check("k = 1", spec("k", Type::number), &result), "");
  EXPECT_EQ(canonical_toml(result), "k = 1.0\n");
  EXPECT_EQ(check("k = [1, 2.5]", spec("k", Type::number_list), &result), "");
  EXPECT_EQ(canonical_toml(result), "k = [1.0, 2.5]\n");
}

TEST(Schema, Ranges) {
  EXPECT_EQ(check("k = 0", ranged(Type::integer, 1, {})),
            "t.toml:1:5: t.k: found the integer 0, expected an integer from 1");
  EXPECT_EQ(check("k = 0.0", ranged(Type::number, 0, {}, true)),
            "t.toml:1:5: t.k: found the number 0.0, expected a number above 0");
  EXPECT_EQ(check("k = 1", ranged(Type::number, 0, 1, false, true)),
            "t.toml:1:5: t.k: found the integer 1, expected a number from 0 and below 1");
  EXPECT_EQ(check("k = 1", ranged(Type::number, 0, 1)), "");
  EXPECT_EQ(check("k = nan", ranged(Type::number, {}, {})), "t.toml:1:5: t.k: found the number nan, expected a number");
  EXPECT_EQ(check("k = -inf", ranged(Type::number, {}, {})),
            "t.toml:1:5: t.k: found the number -inf, expected a number");
  EXPECT_EQ(check("k = [0, -1]", ranged(Type::integer_list, 0, {})),
            "t.toml:1:9: t.k: found the integer -1 in the list, expected a list of integers from 0");
}

TEST(Schema, ChoicesAndUnknownKeysSuggestANearName) {
  KeySpec key = spec("k", Type::string);
  key.choices = {"linear", "cosine"};
  EXPECT_EQ(
      check("k = \"liner\"", key),
      "t.toml:1:5: t.k: found the string \"liner\", expected one of \"linear\", \"cosine\" (did you mean \"linear\"?)");
  EXPECT_EQ(check("warmpu = 1", spec("warmup", Type::number)),
            "t.toml:1:1: t.warmpu: found an unknown key, expected a key of [t] (did you mean \"warmup\"?)");
  EXPECT_EQ(check("\"completely different\" = 1", spec("warmup", Type::number)),
            "t.toml:1:1: t.\"completely different\": found an unknown key, expected a key of [t]: warmup");
}

TEST(Schema, MissingAndDefaults) {
  KeySpec key = spec("k", Type::integer);
  key.required = true;
  EXPECT_EQ(check("", key), "t.toml:1:1: t.k: found nothing, expected an integer; this key is required: Meaning of k.");
  Table result;
  EXPECT_EQ(check("", spec("k", Type::integer), &result), "");
  EXPECT_EQ(result.entries.size(), 0u);
  EXPECT_EQ(check("", spec("k", Type::integer, Value{std::int64_t{7}, {}}), &result), "");
  EXPECT_EQ(canonical_toml(result), "k = 7\n");
  EXPECT_EQ(result.find("k")->value.position.text(), "t.toml:1:1");
}

TEST(Schema, PathsAreLookedForInOrder) {
  const testing::Folder folder;
  const auto& base = folder.path();
  const Locations locations{base, base / "root", base / "home"};
  const Position position{std::make_shared<const Source>(Source{"configs/a.toml", "configs", 0}), 3, 1};
  const auto find = [&](const std::string& given, const std::string& below_home = "") {
    return folder.shown(find_path(given, position, locations, below_home).string());
  };
  EXPECT_EQ(find("x"), "");
  folder.write("home/models/x", "");
  EXPECT_EQ(find("x"), "");
  EXPECT_EQ(find("x", "models"), "home/models/x");
  folder.write("home/x", "");
  EXPECT_EQ(find("x", "models"), "home/x");
  folder.write("root/x", "");
  EXPECT_EQ(find("x"), "root/x");
  folder.write("configs/x", "");
  EXPECT_EQ(find("x"), "configs/x");
  EXPECT_EQ(find("${home}/x"), "home/x");
  EXPECT_EQ(find("${home}x"), "");
  EXPECT_EQ(find((base / "root/x").string()), "root/x");
}

TEST(Schema, AMissingPathSaysWhereItWasLookedFor) {
  EXPECT_EQ(check("k = \"x.txt\"", spec("k", Type::path)),
            "t.toml:1:5: t.k: found the string \"x.txt\", expected the path of an existing file or folder; looked for "
            "/nowhere/x.txt, /nowhere/root/x.txt, /nowhere/home/x.txt");
  EXPECT_EQ(check("k = \"${home}/x.txt\"", spec("k", Type::path)),
            "t.toml:1:5: t.k: found the string \"${home}/x.txt\", expected the path of an existing file or folder; "
            "looked for "
            "/nowhere/home/x.txt; `palimpsest prepare` makes the models and data of the quickstart");
  EXPECT_EQ(check("k = \"\"", spec("k", Type::path)), "");
}

TEST(Schema, ManyProblemsAreSortedAndCut) {
  std::vector<Problem> problems;
  const auto source = std::make_shared<const Source>(Source{"t.toml", "", 0});
  for (std::uint32_t line = 150; line > 0; --line) {
    problems.push_back({Position{source, line, 1}, "k", "m"});
    problems.push_back({Position{source, line, 1}, "k", "m"});
  }
  sort_problems(problems);
  ASSERT_EQ(problems.size(), 150u);
  EXPECT_EQ(problems.front().text(), "t.toml:1:1: k: m");
  EXPECT_THAT(text_of(problems), ::testing::EndsWith("t.toml:100:1: k: m\nand 50 problems more"));
}

}  // namespace
}  // namespace palimpsest::config
