#include "data/text_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.hpp"
#include "support/error_of.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TextSource read(const std::string& name, std::string_view text, const TextSourceOptions& options = {}) {
  const TemporaryFolder scratch;
  return read_text_source(scratch.write(name, text), options);
}

std::string error(const std::string& name, std::string_view text, const TextSourceOptions& options = {}) {
  return message_of(ErrorCode::kInvalidArgument, [&] { read(name, text, options); });
}

TEST(TextSource, ParagraphsOfPlainText) {
  const auto source = read("a.txt", "\xEF\xBB\xBF\n\nFirst line\r\nsecond line\n \t\n\nThird\n");
  EXPECT_THAT(source.columns, ElementsAre("text"));
  EXPECT_THAT(source.values[0], ElementsAre("First line\nsecond line", "Third"));
  EXPECT_THAT(source.lines, ElementsAre(3, 7));
  EXPECT_EQ(source.sha256, sha256_hex("\xEF\xBB\xBF\n\nFirst line\r\nsecond line\n \t\n\nThird\n"));
}

TEST(TextSource, JsonLines) {
  TextSourceOptions options;
  options.columns = {"text", "label"};
  const auto source = read(
      "a.jsonl", "{\"label\": 3, \"text\": \"a\\nb\", \"other\": []}\n\n{\"text\": \"\", \"label\": true}\n", options);
  EXPECT_THAT(source.columns, ElementsAre("text", "label"));
  EXPECT_THAT(source.values[0], ElementsAre("a\nb", ""));
  EXPECT_THAT(source.values[1], ElementsAre("3", "true"));
  EXPECT_THAT(source.lines, ElementsAre(1, 3));
}

TEST(TextSource, JsonArrayAndAllColumns) {
  const auto source = read("a.json", "[{\"b\": \"1\", \"a\": \"2\"},\n {\"a\": \"3\", \"b\": \"4\"}]");
  EXPECT_THAT(source.columns, ElementsAre("a", "b"));
  EXPECT_THAT(source.values[0], ElementsAre("2", "3"));
  EXPECT_THAT(source.lines, ElementsAre(1, 2));
}

TEST(TextSource, JsonErrors) {
  TextSourceOptions options;
  options.columns = {"text"};
  EXPECT_THAT(error("a.jsonl", "{\"txt\": \"x\"}\n", options),
              HasSubstr("a.jsonl:1: there is no column \"text\" (did you mean \"txt\"?); the file has txt"));
  EXPECT_THAT(error("a.jsonl", "{\"text\": \"x\"}\n{\"text\": null}\n{\"text\": [1]}\n{}\n", options),
              HasSubstr("a.jsonl:2: text: found null, expected a text"));
  EXPECT_THAT(error("a.jsonl", "{\"text\": \"x\"}\n{\"text\": [1]}\n{}\n", options),
              HasSubstr("a.jsonl:2: text: found a list of 1, expected a text\n"));
  EXPECT_THAT(error("a.jsonl", "{\"text\": \"x\"}\n{}\n", options), HasSubstr("a.jsonl:2: text: missing"));
  EXPECT_THAT(error("a.jsonl", "{\"text\": \"x\"}\nno\n", options), HasSubstr("a.jsonl:2: not JSON"));
}

TEST(TextSource, CsvAsRfc4180) {
  const auto source = read("a.csv", "name,text\r\nx,\"one, \"\"two\"\"\r\nthree\"\r\n\"y\",\nz,plain\n\n\"\",last");
  EXPECT_THAT(source.columns, ElementsAre("name", "text"));
  EXPECT_THAT(source.values[0], ElementsAre("x", "y", "z", ""));
  EXPECT_THAT(source.values[1], ElementsAre("one, \"two\"\r\nthree", "", "plain", "last"));
  EXPECT_THAT(source.lines, ElementsAre(2, 4, 5, 7));
  TextSourceOptions options;
  options.columns = {"text"};
  EXPECT_THAT(read("a.csv", "name,text\na,b\n", options).values[0], ElementsAre("b"));
}

TEST(TextSource, CsvErrors) {
  EXPECT_THAT(error("a.csv", "a,b\n1,2,3\n4\n"), HasSubstr("a.csv:2: found 3 fields, expected 2 as in the header\n"));
  EXPECT_THAT(error("a.csv", "a,b\n1,\"open\n2,3\n"),
              HasSubstr("a.csv:2: field 2 opens with a quote that is not closed"));
  EXPECT_THAT(error("a.csv", "a,b\n1,\"x\"y\n"), HasSubstr("a.csv:2: field 2: found \"y\" behind the closing quote"));
  EXPECT_THAT(error("a.csv", "a,b\n1,x\"y\n"), HasSubstr("a.csv:2: field 2: found a quote inside the unquoted field"));
  EXPECT_THAT(error("a.csv", "a,a\n1,2\n"), HasSubstr("a.csv:1: the header names \"a\" twice"));
  EXPECT_THAT(error("a.csv", "a,\n1,2\n"), HasSubstr("a.csv:1: column 2 of the header has no name"));
  EXPECT_THAT(error("a.csv", "a,b\n"), HasSubstr("a.csv: found no rows"));
  TextSourceOptions options;
  options.columns = {"texts"};
  EXPECT_THAT(error("a.csv", "a,text\n1,2\n", options), HasSubstr("did you mean \"text\"?); the file has a, text"));
}

TEST(TextSource, FileErrors) {
  EXPECT_THAT(error("a.parquet", "x"),
              HasSubstr("found the ending \".parquet\", expected .txt, .jsonl, .json or .csv"));
  EXPECT_THAT(error("a.txt", " \n\n"), HasSubstr("a.txt: found no rows"));
  EXPECT_THAT(error("a.txt", "ok\nb\xFF"), HasSubstr("a.txt:2: byte 0xff at byte offset 4"));
  TextSourceOptions twice;
  twice.columns = {"text", "text"};
  EXPECT_THAT(error("a.txt", "x", twice), HasSubstr("\"text\" is asked for twice"));
  const TemporaryFolder scratch;
  message_of(ErrorCode::kNotFound, [&] { read_text_source(scratch.path() / "none.txt", {}); });
}

// What is wrong whatever columns are wanted; a column that only some rows have is not.
TEST(TextSource, IsCheckedWithoutItsColumns) {
  const auto check = [](const std::string& name, std::string_view text) {
    const TemporaryFolder scratch;
    try {
      check_text_source(scratch.write(name, text));
      return std::string();
    } catch (const Error& found) {
      return std::string(found.what());
    }
  };
  EXPECT_EQ(check("a.jsonl", "{\"text\": \"x\", \"tags\": [1, {\"a\": null}]}\n\n{\"other\": null}\n"), "");
  EXPECT_EQ(check("a.json", "[{\"a\": 1},\n {\"b\": 2}]"), "");
  EXPECT_EQ(check("a.csv", "a,b\n1,2\n"), "");
  EXPECT_EQ(check("a.txt", "one\n\ntwo\n"), "");
  EXPECT_THAT(check("a.jsonl", "{\"text\": \"x\"}\n{\"text\": \n"), HasSubstr("a.jsonl:2: not JSON"));
  EXPECT_THAT(check("a.jsonl", "{\"a\": 1}\n[1]\n"), HasSubstr("a.jsonl:2: found a list of 1, expected an object"));
  EXPECT_THAT(check("a.jsonl", "\n"), HasSubstr("a.jsonl: found no rows"));
  EXPECT_THAT(check("a.csv", "a,b\n1\n"), HasSubstr("a.csv:2: found 1 fields, expected 2"));
  EXPECT_THAT(check("a.csv", "a,a\n1,2\n"), HasSubstr("the header names \"a\" twice"));
  EXPECT_THAT(check("a.txt", "ok\nb\xFF"), HasSubstr("a.txt:2: byte 0xff"));
  EXPECT_THAT(check("a.txt", "\n \n"), HasSubstr("a.txt: found no rows"));
  // A .json file may be one value, whatever its reader makes of it; JSON it must be.
  EXPECT_EQ(check("a.json", "{\n  \"labels\": {\"a\": 1}\n}\n"), "");
  EXPECT_THAT(check("a.json", "{\n  \"labels\": {\"a\": 1\n}\n"), HasSubstr("a.json:1: not JSON"));
}

TEST(TextSource, FormatIsThatOfTheEnding) {
  EXPECT_EQ(text_format("a/b.txt"), TextFormat::kText);
  EXPECT_EQ(text_format("b.jsonl"), TextFormat::kJsonl);
  EXPECT_EQ(text_format("b.json"), TextFormat::kJsonl);
  EXPECT_EQ(text_format("b.csv"), TextFormat::kCsv);
  EXPECT_FALSE(text_format("b.safetensors"));
  EXPECT_FALSE(text_format("txt"));
}

}  // namespace
}  // namespace palimpsest::data
