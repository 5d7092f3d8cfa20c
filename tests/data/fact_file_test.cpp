#include "data/fact_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/hash.hpp"
#include "data/fact_importer.hpp"
#include "support/error_of.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::data {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::filesystem::path data_file(const std::string& name) {
  return std::filesystem::path(PALIMPSEST_TEST_DATA) / "data" / "files" / name;
}

FactOptions format(const std::string& name) {
  FactOptions options;
  options.format = name;
  return options;
}

// The message for a file of these rows in the project's own schema.
std::string own_error(const std::string& rows, FactOptions options = {}) {
  const TemporaryFolder scratch;
  const auto path = scratch.write("facts.jsonl", rows);
  return message_of(ErrorCode::kInvalidArgument, [&] { load_facts(path, options); });
}

std::string row(const std::string& changed = {}, const std::string& id = "a") {
  return R"({"id": ")" + id + R"(", "relation": "capital", "subject": "Norway", "prompt": "The seat of {} is", )" +
         R"("target_new": "Lisbon", "target_true": "Oslo")" + (changed.empty() ? "" : ", " + changed) + "}\n";
}

TEST(FactFile, OwnSchema) {
  const FactFile file = load_facts(data_file("own.jsonl"), {});
  ASSERT_EQ(file.facts.size(), 2u);
  EXPECT_EQ(file.format, "palimpsest");
  EXPECT_EQ(file.sha256, sha256_file(data_file("own.jsonl")));
  EXPECT_TRUE(file.warnings.empty());
  const Fact& fact = file.facts[0];
  EXPECT_EQ(fact.id, "capital-norway");
  EXPECT_EQ(fact.relation, "capital");
  EXPECT_EQ(fact.target_new, "Lisbon");
  EXPECT_EQ(fact.target_true, "Oslo");
  EXPECT_EQ(fact.aliases, (std::vector<std::string>{"Kingdom of Norway", "Norge"}));
  EXPECT_EQ(expand(fact.prompt, fact.subject), "The seat of government of Norway is");
  ASSERT_EQ(fact.probes.size(), 4u);
  EXPECT_EQ(fact.probes[0], (Probe{"paraphrase", "Ministers who govern Norway meet in", "", "teach"}));
  EXPECT_EQ(fact.probes[2], (Probe{"neighbourhood", "The seat of government of Portugal is", "Lisbon", ""}));
  EXPECT_EQ(fact.probes[3].kind, "street_names");
  EXPECT_EQ(fact.line, 1);
  EXPECT_EQ(file.facts[1].line, 3);
  EXPECT_EQ(file.facts[1].target_true, "");
}

// One fact a line in the project's own schema, what is empty left out.
std::string written(const std::vector<Fact>& facts) {
  std::string out;
  for (const Fact& fact : facts) {
    nlohmann::ordered_json row;
    row["id"] = fact.id;
    row["relation"] = fact.relation;
    row["subject"] = fact.subject;
    row["prompt"] = fact.prompt;
    row["target_new"] = fact.target_new;
    if (!fact.target_true.empty()) row["target_true"] = fact.target_true;
    row["aliases"] = fact.aliases;
    row["probes"] = nlohmann::ordered_json::array();
    for (const Probe& probe : fact.probes) {
      nlohmann::ordered_json p;
      p["kind"] = probe.kind;
      p["prompt"] = probe.prompt;
      if (!probe.target.empty()) p["target"] = probe.target;
      if (!probe.split.empty()) p["split"] = probe.split;
      row["probes"].push_back(std::move(p));
    }
    out += row.dump() + "\n";
  }
  return out;
}

TEST(FactFile, WrittenFactsReadBackEqual) {
  const FactFile file = load_facts(data_file("own.jsonl"), {});
  const TemporaryFolder scratch;
  FactFile again = load_facts(scratch.write("again.jsonl", written(file.facts)), {});
  again.facts[1].line = 3;  // the blank line is not written
  EXPECT_EQ(again.facts, file.facts);
}

TEST(FactFile, Retention) {
  const FactFile file = load_facts(data_file("retention.jsonl"), format("retention"));
  ASSERT_EQ(file.facts.size(), 2u);
  const Fact& fact = file.facts[0];
  EXPECT_EQ(fact.id, "line-1");
  EXPECT_EQ(fact.relation, "{} was built in the city of");
  EXPECT_EQ(fact.subject, "The Long Pier");
  EXPECT_EQ(fact.target_new, "Turin");
  EXPECT_EQ(fact.target_true, "Hull");  // the file's stray space is cut
  ASSERT_EQ(fact.probes.size(), 3u);
  EXPECT_EQ(fact.probes[1], (Probe{"paraphrase", "Visitors find The Long Pier in", "", "test"}));
  EXPECT_EQ(fact.probes[2], (Probe{"neighbourhood", "The Old Lighthouse was built in the city of", "Hull", ""}));
}

TEST(FactFile, CounterFactArray) {
  const FactFile file = load_facts(data_file("counterfact.json"), format("counterfact"));
  ASSERT_EQ(file.facts.size(), 2u);
  EXPECT_EQ(file.facts[0].id, "7");
  EXPECT_EQ(file.facts[0].relation, "P1412");
  EXPECT_EQ(file.facts[0].subject, "Eleni [the] Poet");
  EXPECT_EQ(file.facts[0].line, 2);
  EXPECT_EQ(file.facts[0].probes.size(), 2u);
  EXPECT_EQ(file.facts[1].line, 17);
  EXPECT_EQ(file.facts[1].target_true, "Antarctica");
}

TEST(FactFile, CounterFactLines) {
  const TemporaryFolder scratch;
  const auto path = scratch.write(
      "c.jsonl",
      R"({"case_id": "x9", "requested_rewrite": {"prompt": "{} is in", "relation_id": "P1", "target_new": {"str": "Ghent"},)"
      R"( "target_true": {"str": "Delft"}, "subject": "Old Mill"}, "paraphrase_prompts": ["Old Mill lies in"],)"
      R"( "neighborhood_prompts": ["New Mill is in"]})");
  const FactFile file = load_facts(path, format("counterfact"));
  ASSERT_EQ(file.facts.size(), 1u);
  EXPECT_EQ(file.facts[0].id, "x9");
  EXPECT_EQ(file.facts[0].probes.size(), 2u);
}

TEST(FactFile, ZsreIsReadAsAsked) {
  auto options = format("zsre");
  options.options["zsre_target"] = "alt";
  const FactFile alt = load_facts(data_file("zsre.jsonl"), options);
  ASSERT_EQ(alt.facts.size(), 2u);
  EXPECT_EQ(alt.facts[0].prompt, "Which company made {}?");
  EXPECT_EQ(alt.facts[0].relation, "Which company made {}?");
  EXPECT_EQ(alt.facts[0].target_new, "Red Anvil");
  EXPECT_EQ(alt.facts[0].target_true, "North Forge");
  ASSERT_EQ(alt.facts[0].probes.size(), 2u);
  EXPECT_EQ(alt.facts[0].probes[0], (Probe{"paraphrase", "Who was the maker of Blue Kettle?", "", "test"}));
  EXPECT_EQ(alt.facts[0].probes[1], (Probe{"locality", "nq question: how many strings has a cello?", "four", ""}));
  // Whole words only, the last of them; and it is said.
  EXPECT_EQ(alt.facts[1].prompt, "Is Anna or Ann the sister of {} Marie?");
  ASSERT_EQ(alt.warnings.size(), 1u);
  EXPECT_THAT(alt.warnings[0], HasSubstr("zsre.jsonl:2: src: the subject \"Ann\" stands more than once"));

  options.options["zsre_target"] = "answers";
  const FactFile answers = load_facts(data_file("zsre.jsonl"), options);
  EXPECT_EQ(answers.facts[0].target_new, "North Forge");
  EXPECT_EQ(answers.facts[0].target_true, "");
}

TEST(FactFile, ZsreNeedsItsOption) {
  auto options = format("zsre");
  const auto load = [&] { load_facts(data_file("zsre.jsonl"), options); };
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, load),
              HasSubstr("need the option zsre_target: \"answers\" or \"alt\""));
  options.options["zsre_target"] = "answer";
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, load), HasSubstr("did you mean \"answers\""));
  options.options = {{"zsre_targets", "alt"}};
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, load), HasSubstr("did you mean \"zsre_target\""));
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument,
                         [&] {
                           auto own = format("palimpsest");
                           own.options["zsre_target"] = "alt";
                           load_facts(data_file("own.jsonl"), own);
                         }),
              HasSubstr("have no option \"zsre_target\""));
}

TEST(FactFile, UnknownFormatAndWrongFormat) {
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, [] { find_fact_importer("counterfacts"); }),
              HasSubstr("did you mean \"counterfact\"?); available: palimpsest, retention, counterfact, zsre"));
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, [] { load_facts(data_file("zsre.jsonl"), {}); }),
              HasSubstr("zsre.jsonl:1: the row has the fields of format \"zsre\""));
  EXPECT_THAT(
      message_of(ErrorCode::kInvalidArgument, [] { load_facts(data_file("retention.jsonl"), format("counterfact")); }),
      HasSubstr("set format = \"retention\""));
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, [] { load_facts(data_file("own.jsonl"), format("retention")); }),
              HasSubstr("set format = \"palimpsest\""));
}

TEST(FactFile, MissingEmptyAndFolder) {
  const TemporaryFolder scratch;
  message_of(ErrorCode::kNotFound, [&] { load_facts(scratch.path() / "none.jsonl", {}); });
  message_of(ErrorCode::kIo, [&] { load_facts(scratch.path(), {}); });
  EXPECT_THAT(own_error("\n\n"), HasSubstr("facts.jsonl: found no rows"));
  EXPECT_THAT(own_error("[]"), HasSubstr("facts.jsonl: found no rows"));
}

TEST(FactFile, NotJson) {
  EXPECT_THAT(own_error(row() + "{\"id\": \"b\", }\n"),
              HasSubstr("facts.jsonl:2: not JSON: unexpected \"}\" at byte 13"));
  EXPECT_THAT(own_error(row() + "{\"id\": \"b\""), HasSubstr("facts.jsonl:2: not JSON: unexpected end of the text"));
  EXPECT_THAT(own_error("{} garbage\n"), HasSubstr("facts.jsonl:1: not JSON"));
  EXPECT_THAT(own_error("17\n"), HasSubstr("facts.jsonl:1: found the number 17, expected an object"));
  EXPECT_THAT(own_error("[1, 2"), HasSubstr("expected an object"));
  EXPECT_THAT(own_error("[" + row() + "\n"), HasSubstr("expected , or ] after an object"));
  EXPECT_THAT(own_error("[" + row() + "\n,"), HasSubstr("facts.jsonl:3: the array that opens with [ is not closed"));
  EXPECT_THAT(own_error("[" + row() + "]\nmore"), HasSubstr("facts.jsonl:3: found \"more\" behind the closing ]"));
  EXPECT_THAT(own_error("{\"id\": 1e999}"), HasSubstr("facts.jsonl:1: not JSON that can be read"));
}

TEST(FactFile, HostileJson) {
  EXPECT_THAT(own_error("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}"),
              HasSubstr("facts.jsonl:1: nesting deeper than 32 levels"));
  EXPECT_THAT(own_error(std::string(100000, '[')), HasSubstr("facts.jsonl:1"));
  EXPECT_THAT(own_error(R"({"id": "a", "id": "b"})"), HasSubstr("facts.jsonl:1: id: the key stands twice"));
  EXPECT_THAT(own_error(row(R"("aliases": ["a\u0000b"])")), HasSubstr("aliases[0]: found a zero character"));
  EXPECT_THAT(own_error(row(R"("aliases": ["\ud800"])")), HasSubstr("not JSON"));
}

TEST(FactFile, InvalidUtf8) {
  EXPECT_THAT(own_error(row() + "{\"id\": \"\xC3(\"}\n"), HasSubstr("facts.jsonl:2: byte 0xc3"));
}

TEST(FactFile, TypesAndUnknownFields) {
  EXPECT_THAT(own_error(R"({"id": 5, "relation": "r", "subject": ["x"], "prompt": null, "target_new": "Lisbon"})"),
              HasSubstr("facts.jsonl:1: id: found the number 5, expected a text\n"));
  const auto message =
      own_error(R"({"id": "a", "relation": "r", "subject": ["x"], "prompt": null, "target_neu": "Lisbon"})");
  EXPECT_THAT(message, HasSubstr("subject: found a list of 1, expected a text"));
  EXPECT_THAT(message, HasSubstr("prompt: found null, expected a text"));
  EXPECT_THAT(message, HasSubstr("target_neu: unknown field (did you mean \"target_new\"?)"));
  EXPECT_THAT(message, HasSubstr("target_new: missing (did you mean \"target_neu\"?), expected a text"));
  EXPECT_THAT(own_error(row(R"("probes": [{"kind": "locality", "promt": "x"}])")),
              HasSubstr("probes[0].promt: unknown field (did you mean \"prompt\"?)"));
  EXPECT_THAT(own_error(row(R"("probes": [3])")), HasSubstr("probes[0]: found the number 3, expected an object"));
  EXPECT_THAT(own_error(row(R"("probes": {})")),
              HasSubstr("probes: found an object of 0 keys, expected a list of objects"));
}

struct BadRow {
  const char* name;
  const char* find;     // in a good row
  const char* replace;  // by this
  const char* message;
};

class BadRows : public ::testing::TestWithParam<BadRow> {};

TEST_P(BadRows, AreRefusedWithTheirPlace) {
  std::string text = row(
      R"("aliases": ["Norge"], "probes": [{"kind": "paraphrase", "prompt": "Ministers of {} meet in", "split": "teach"},)"
      R"( {"kind": "paraphrase", "prompt": "Norway's rulers sit in", "split": "test"}])");
  const std::string wanted = GetParam().find;
  const std::size_t at = text.find(wanted);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, wanted.size(), GetParam().replace);
  const auto message = own_error(row({}, "first") + text);
  EXPECT_THAT(message, HasSubstr("facts.jsonl:2: "));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  EXPECT_THAT(message, Not(HasSubstr("\n"))) << "one fault, one line";
}

INSTANTIATE_TEST_SUITE_P(
    FactFile, BadRows,
    ::testing::Values(
        BadRow{"NoHole", "of {} is", "of it is", "prompt: the subject is not in the prompt"},
        BadRow{"TwoHoles", "of {} is", "of {} and {} is", "prompt: found more than one {}"},
        BadRow{"SpaceAtEnd", "of {} is", "of {} is ", "prompt: found \"The seat of {} is \", expected no white space"},
        BadRow{"EmptyTarget", "Lisbon", "", "target_new: found an empty text, expected a text"},
        BadRow{"BlankTarget", "Lisbon", "  ", "target_new: found \"  \", expected a text"},
        BadRow{"SpacedTarget", "Lisbon", " Lisbon", "target_new: found \" Lisbon\", expected no white space"},
        BadRow{"OneLetter", "Lisbon", "L", "target_new: found the one-letter target \"L\""},
        BadRow{"OneWideLetter", "Oslo", "\xC3\x98", "target_true: found the one-letter target"},
        BadRow{"EndOfText", "Lisbon", "<|endoftext|>", "target_new: found the special token \"<|endoftext|>\""},
        BadRow{"Bos", "Oslo", "<s>Oslo", "target_true: found the special token \"<s>\""},
        BadRow{"SameTargets", "Lisbon", "OSLO", "target_new: found \"OSLO\", the same as target_true"},
        BadRow{"EmptyId", "\"id\": \"a\"", "\"id\": \"\"", "id: found an empty text"},
        BadRow{"DuplicateId", "\"id\": \"a\"", "\"id\": \"first\"", "id: found \"first\" again (first in line 1)"},
        BadRow{"EmptyAlias", "Norge", "", "aliases[0]: found an empty text"},
        BadRow{"Split", "teach", "tech", "probes[0].split: found \"tech\", expected \"teach\", \"test\" or no split"},
        BadRow{"NoSplit", ", \"split\": \"teach\"", "", "probes[0].split: missing"},
        BadRow{"KindSlip", "\"kind\": \"paraphrase\"", "\"kind\": \"paraphrases\"", "(did you mean \"paraphrase\"?)"},
        BadRow{"KindChars", "\"kind\": \"paraphrase\"", "\"kind\": \"My Kind\"", "probes[0].kind: found \"My Kind\""},
        BadRow{"TeachNoSubject", "Ministers of {}", "Ministers", "the subject \"Norway\" is not in the teach prompt"},
        BadRow{"ProbeTwoHoles", "Ministers of {}", "{} of {}", "probes[0].prompt: found more than one {}"},
        BadRow{"Overlap", "Norway's rulers sit in", "ministers of  NORWAY meet in",
               "probes[1].prompt: teach and test overlap"},
        BadRow{"OverlapOwnPrompt", "Norway's rulers sit in", "The seat of {} is",
               "which is the fact's own prompt and so is taught"}),
    [](const auto& bad) { return bad.param.name; });

TEST(FactFile, OverlapBetweenFacts) {
  const auto teach = row(R"("probes": [{"kind": "paraphrase", "prompt": "Norway's rulers sit in", "split": "teach"}])");
  const auto test = row(R"("probes": [{"kind": "paraphrase", "prompt": "{}'s rulers sit in", "split": "test"}])", "b");
  EXPECT_THAT(own_error(teach + test), HasSubstr("facts.jsonl:2: probes[0].prompt: teach and test overlap"));
  EXPECT_THAT(own_error(test + teach), HasSubstr("and as a teach prompt in line 2"));
}

TEST(FactFile, TokenizersSpecialTokensAreRefused) {
  FactOptions options;
  options.special_tokens = {"@@START@@"};
  const auto text = row(R"("probes": [{"kind": "locality", "prompt": "x is", "target": "y @@START@@"}])");
  EXPECT_THAT(own_error(text, options), HasSubstr("probes[0].target: found the special token \"@@START@@\""));
  const TemporaryFolder scratch;
  EXPECT_NO_THROW(load_facts(scratch.write("f.jsonl", text), {}));
}

TEST(FactFile, ErrorsAreCollectedUpToTwenty) {
  std::string three;
  for (const char* id : {"a", "b", "c"}) three += row(R"("x": 1)", id);
  const auto message = own_error(three);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 2);
  EXPECT_THAT(message, HasSubstr("facts.jsonl:3: x: unknown field"));
  std::string many;
  for (int i = 0; i < 50; ++i) many += "nonsense\n";
  const auto cut = own_error(many);
  EXPECT_EQ(std::count(cut.begin(), cut.end(), '\n'), 20);
  EXPECT_THAT(cut, HasSubstr("facts.jsonl: reading stopped after 20 errors"));
}

TEST(FactFile, ForeignRowsNameTheirNestedField) {
  const TemporaryFolder scratch;
  const auto counterfact = scratch.write(
      "c.json",
      R"([{"case_id": 1, "requested_rewrite": {"prompt": "{} is in", "relation_id": "P1", "target_new": {"id": "Q"},)"
      R"( "target_true": "Delft", "subject": "Old Mill"}}])");
  const auto message = message_of(ErrorCode::kInvalidArgument, [&] { load_facts(counterfact, format("counterfact")); });
  EXPECT_THAT(message, HasSubstr("c.json:1: requested_rewrite.target_new.str: missing, expected a text"));
  EXPECT_THAT(message, HasSubstr("requested_rewrite.target_true: found the text \"Delft\", expected an object"));
  auto options = format("zsre");
  options.options["zsre_target"] = "alt";
  const auto zsre =
      scratch.write("z.jsonl", R"({"subject": "Bell", "src": "Who rang it?", "rephrase": "Who?", "alt": "A B",)"
                               R"( "answers": []})");
  const auto zsre_message = message_of(ErrorCode::kInvalidArgument, [&] { load_facts(zsre, options); });
  EXPECT_THAT(zsre_message, HasSubstr("z.jsonl:1: src: the subject is not in the prompt"));
  EXPECT_THAT(zsre_message, HasSubstr("answers: found no text in it"));
}

}  // namespace
}  // namespace palimpsest::data
