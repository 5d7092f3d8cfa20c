// Text made to hurt: every case ends in one message, never in a crash.
#include "base/rng.hpp"
#include "support.hpp"

namespace palimpsest::config {
namespace {

using testing::Folder;
using testing::message_of;

std::string refusal(const std::string& text) {
  const Folder folder;
  return message_of(folder, [&] { parse_toml(text, std::make_shared<const Source>(Source{"t.toml", "", 0})); });
}

std::string repeated(const std::string& piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

TEST(Hostile, LongDottedKeys) {
  const std::string message = "a key of more than 64 dotted parts, expected at most 64";
  EXPECT_EQ(refusal(repeated("a.", 100000) + "a = 1\n"), "t.toml:1:128: " + message);
  EXPECT_EQ(refusal("x = 1\n[" + repeated("a.", 100000) + "a]\n"), "t.toml:2:129: " + message);
  EXPECT_EQ(refusal("[[" + repeated("\"a\".", 50000) + "a]]\n"), "t.toml:1:258: " + message);
  EXPECT_EQ(refusal("x = {" + repeated("a.", 100000) + "a = 1}\n"), "t.toml:1:133: " + message);
}

TEST(Hostile, DeepNesting) {
  const std::string message = "more than 64 levels of nested lists and tables, expected at most 64";
  EXPECT_EQ(refusal("x = " + repeated("[", 100000)), "t.toml:1:69: " + message);
  EXPECT_EQ(refusal("x = " + repeated("{a=", 60000)), "t.toml:1:197: " + message);
  // Each within its own limit, together too deep.
  EXPECT_THAT(refusal("[" + repeated("a.", 40) + "a]\n" + repeated("b.", 40) + "b = 1\n"),
              ::testing::HasSubstr(message));
  EXPECT_THAT(refusal("x = " + repeated("{" + repeated("a.", 40) + "a = ", 20) + "1" + repeated("}", 20)),
              ::testing::HasSubstr(message));
  EXPECT_EQ(refusal("x = " + repeated("[", 60) + repeated("]", 60)), "");
}

TEST(Hostile, DotsAndBracketsThatAreNoStructure) {
  EXPECT_EQ(refusal("x = \"" + repeated("[a.", 500) + "\"\n"), "");
  EXPECT_EQ(refusal("x = '''" + repeated("[a.\n", 500) + "''''\ny = 1\n"), "");
  EXPECT_EQ(refusal("x = \"\"\"" + repeated("\\\"[a.\n", 500) + "\"\"\"\"\"\ny = 1\n"), "");
  EXPECT_EQ(refusal("# " + repeated("[a.", 500) + "\nx = 1\n"), "");
  EXPECT_EQ(refusal("x = [" + repeated("1.5, ", 500) + "]\n"), "");
  EXPECT_EQ(refusal(repeated("[a.b.c]\n", 1) + "x = 1.5\n"), "");
}

TEST(Hostile, BigFiles) {
  const Folder folder;
  const auto file = folder.write("big.toml", "x = \"" + std::string(2000000, 'x') + "\"\n");
  EXPECT_EQ(message_of(folder, [&] { load_document(file); }),
            "big.toml has 2000007 bytes; at most 1048576 are accepted here");
  EXPECT_EQ(refusal(std::string(kMaxFileBytes + 1, ' ')), "t.toml: 1048577 bytes, expected at most 1048576");
}

TEST(Hostile, InvalidUtf8) {
  const std::string rest = ", expected UTF-8 text";
  EXPECT_EQ(refusal("a = 1\nb = \"\xC3\xA9\xFF\"\n"), "t.toml:2:7: invalid UTF-8: found the byte 0xff" + rest);
  EXPECT_EQ(refusal("# \xC0\xAF"), "t.toml:1:3: invalid UTF-8: found the byte 0xc0" + rest);
  EXPECT_EQ(refusal("# \xED\xA0\x80"), "t.toml:1:3: invalid UTF-8: found the byte 0xed" + rest);
  EXPECT_EQ(refusal("# \xF4\x90\x80\x80"), "t.toml:1:3: invalid UTF-8: found the byte 0xf4" + rest);
  EXPECT_EQ(refusal("# \xE2\x82"), "t.toml:1:3: invalid UTF-8: found the byte 0xe2" + rest);
}

TEST(Hostile, DuplicateKeys) {
  EXPECT_EQ(refusal("a = 1\na = 2\n"),
            "t.toml:2:5: invalid TOML: Error while parsing key-value pair: cannot redefine existing integer 'a'");
  EXPECT_THAT(
      refusal("[t]\nx = 1\n[t]\ny = 1\n"),
      ::testing::AllOf(::testing::StartsWith("t.toml:3:"), ::testing::HasSubstr("cannot redefine existing table 't'")));
}

TEST(Hostile, SyntaxErrors) {
  for (const char* text :
       {"a = ", "a", "= 1", "[", "[]", "[a", "a = [1", "a = \"x", "a = 1 2", "a = {b = 1", "a = 0x", "a = 1_",
        "a = 99999999999999999999", "a = \"\\q\"", "\"\"\"", "a = \"\"\"x", "[[a]]\n[a]\n", "a = tru"}) {
    EXPECT_THAT(refusal(text), ::testing::MatchesRegex("t\\.toml:[0-9]+:[0-9]+: invalid TOML: .+")) << text;
  }
  EXPECT_THAT(refusal(std::string("a = \"\0\"", 7)), ::testing::HasSubstr("t.toml:1:"));
}

TEST(Hostile, DatesAreNotUsed) {
  EXPECT_EQ(
      refusal("a = 1\nb = [2024-01-01]\n"),
      "t.toml:2:6: found a date or a time, expected a number, text, true or false; put it in quotes if text is meant");
}

// Random damage to a real file: an Error or a tree, nothing else, and a tree whose canonical text reads back.
TEST(Hostile, DamagedFiles) {
  const std::string whole =
      "extends = \"x\"\n[a.b]\n\"k\" = [1, 2.5, 'x', {y = \"z\"}]\nt = \"\"\"m\\\n  n\"\"\"\n[[m]]\nid = 'q' # "
      "c\n[[m]]\nx.y = 1e-4\n"
      "[sweep]\n\"training.learning_rate\" = [1e-4, 1e-5]\n";
  const std::string alphabet = "[]{}\"'.=,#\\\n ae1-+_\xC3\xFF";
  Rng random(1, "hostile");
  int trees = 0;
  for (int trial = 0; trial < 5000; ++trial) {
    std::string text = whole;
    for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
      const auto at = static_cast<std::size_t>(random.below(text.size()));
      const char c = alphabet[static_cast<std::size_t>(random.below(alphabet.size()))];
      switch (random.below(3)) {
        case 0: text[at] = c; break;
        case 1: text.insert(at, 1, c); break;
        default: text.erase(at, 1 + static_cast<std::size_t>(random.below(5)));
      }
    }
    try {
      const auto source = std::make_shared<const Source>(Source{"t.toml", "", 0});
      const Table tree = parse_toml(text, source);
      const std::string canonical = canonical_toml(tree);
      ASSERT_TRUE(same(Value{parse_toml(canonical, source), {}}, Value{tree, {}})) << text;
      ++trees;
    } catch (const Error& error) {
      ASSERT_THAT(error.what(), ::testing::StartsWith("t.toml:")) << text;
    }
  }
  EXPECT_GT(trees, 100);
}

}  // namespace
}  // namespace palimpsest::config
