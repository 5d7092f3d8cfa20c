// [tune]: which values a search draws, and what it refuses.
#include "config/search.hpp"

#include <set>

#include "config/disjoint.hpp"
#include "support.hpp"

namespace palimpsest::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Study;

// What a search is made of, without [tune] and the metric; 12 lines.
constexpr const char* kBase =
    "[experiment]\nstages = [\"edit\"]\n"
    "[model]\npath = \"model\"\n"
    "[facts]\nfile = \"facts.jsonl\"\nedited = 5\n"
    "[editor]\nid = \"rome\"\nlayer = 5\n"
    "[[metric]]\nid = \"edit_success\"\n";

std::string search(const std::string& tune) { return std::string(kBase) + "[tune]\n" + tune; }

double number(const Cell& cell, const char* name) { return cell.experiment.editor.parameters.at(name).as<double>(); }
std::int64_t integer(const Cell& cell, const char* name) {
  return cell.experiment.editor.parameters.at(name).as<std::int64_t>();
}

std::vector<std::string> coordinates(const Expansion& expansion) {
  std::vector<std::string> all;
  for (const Cell& cell : expansion.cells) {
    std::string text;
    for (const auto& [key, value] : cell.coordinates) text += cat(text.empty() ? "" : " ", key, "=", value);
    all.push_back(text);
  }
  return all;
}

TEST(Search, TrialsAreCellsAndTheFirstIsTheFileAsItStands) {
  Study study;
  const Expansion expansion =
      study.expand(search("trials = 4\n[tune.search]\nv_lr = { min = 0.1, max = 2, log = true }\n"));
  ASSERT_EQ(text_of(expansion.problems), "");
  ASSERT_EQ(expansion.cells.size(), 4u);
  EXPECT_EQ(expansion.cells[0].name, "trial=00,r0");
  EXPECT_EQ(expansion.cells[3].name, "trial=03,r0");
  EXPECT_EQ(coordinates(expansion)[0], "trial=0 editor.v_lr=0.5");
  EXPECT_EQ(number(expansion.cells[0], "v_lr"), 0.5);
  EXPECT_EQ(expansion.cells[2].coordinates[1].second,
            inline_toml(expansion.cells[2].experiment.editor.parameters.at("v_lr")));
  ASSERT_TRUE(expansion.search.has_value());
  EXPECT_EQ(expansion.search->editor, "rome");
  EXPECT_EQ(expansion.search->objective.size(), 3u);
}

TEST(Search, ValuesLieInTheirRangesAndFillThem) {
  Study study;
  const Expansion expansion = study.expand(search(
      "trials = 400\n[tune.search]\nv_lr = { min = 0.01, max = 1, log = true }\nlayer = { min = 2, max = 9 }\n"));
  ASSERT_EQ(text_of(expansion.problems), "");
  int below_a_tenth = 0;
  std::set<std::int64_t> layers;
  for (std::size_t i = 1; i < expansion.cells.size(); ++i) {
    const double v_lr = number(expansion.cells[i], "v_lr");
    EXPECT_GE(v_lr, 0.01);
    EXPECT_LE(v_lr, 1.0);
    below_a_tenth += v_lr < 0.1 ? 1 : 0;
    layers.insert(integer(expansion.cells[i], "layer"));
  }
  // Uniform in the logarithm: half of them below the geometric mean; 399 draws are within 5 standard deviations.
  EXPECT_NEAR(below_a_tenth, 199.5, 50);
  EXPECT_THAT(layers, ElementsAre(2, 3, 4, 5, 6, 7, 8, 9));

  // Linear: a tenth of them there.
  const Expansion linear = study.expand(search("trials = 400\n[tune.search]\nv_lr = { min = 0.01, max = 1 }\n"));
  below_a_tenth = 0;
  for (std::size_t i = 1; i < linear.cells.size(); ++i) below_a_tenth += number(linear.cells[i], "v_lr") < 0.1 ? 1 : 0;
  EXPECT_NEAR(below_a_tenth, 36, 30);
}

TEST(Search, AreWrittenWithThreeDigits) {
  Study study;
  const Expansion expansion = study.expand(search("trials = 50\n[tune.search]\nv_lr = { min = 0.01, max = 1 }\n"));
  for (std::size_t i = 1; i < expansion.cells.size(); ++i) {
    EXPECT_LE(expansion.cells[i].coordinates[1].second.size(), 6u) << expansion.cells[i].coordinates[1].second;
  }
}

TEST(Search, TheSeedGivesTheTrialsAndMoreTrialsBeginWithTheSame) {
  Study study;
  const std::string space = "[tune.search]\nv_lr = { min = 0.1, max = 1 }\n";
  const auto few = coordinates(study.expand(search("trials = 4\nseed = 7\n" + space)));
  const auto again = coordinates(study.expand(search("trials = 4\nseed = 7\n" + space)));
  auto many = coordinates(study.expand(search("trials = 9\nseed = 7\n" + space)));
  const auto other = coordinates(study.expand(search("trials = 4\nseed = 8\n" + space)));
  EXPECT_EQ(few, again);
  many.resize(4);
  EXPECT_EQ(few, many);
  EXPECT_NE(few, other);
  // A further parameter moves none of the first one's values.
  const Expansion both = study.expand(search("trials = 4\nseed = 7\n" + space + "layer = { min = 1, max = 20 }\n"));
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(cat("trial=", i, " editor.v_lr=", both.cells[i].coordinates[1].second), few[i]);
}

TEST(Search, ChoicesAreDrawnOnceEachUntilNoneIsLeft) {
  Study study;
  const std::string space = "[tune.search]\nlayer = { choices = [3, 5, 7] }\n";
  const Expansion expansion = study.expand(search("trials = 3\n" + space));
  ASSERT_EQ(text_of(expansion.problems), "");
  std::set<std::int64_t> layers;
  for (const Cell& cell : expansion.cells) layers.insert(integer(cell, "layer"));
  EXPECT_THAT(layers, ElementsAre(3, 5, 7));
  EXPECT_EQ(integer(expansion.cells[0], "layer"), 5);
  EXPECT_EQ(study.problems(search("trials = 4\n" + space)),
            "a.toml:13:1: tune.trials: found 4 trials, expected at most 3: 1000 draws from [tune.search] gave no "
            "combination that is not there already");
}

TEST(Search, ListsAreChoices) {
  Study study;
  std::string text = search("trials = 3\n[tune.search]\nlayers = { choices = [[1, 2], [0.5, 4]] }\n");
  text.replace(text.find("id = \"rome\"\nlayer = 5"), 21, "id = \"memit\"");
  const Expansion expansion = study.expand(text);
  ASSERT_EQ(study.folder.shown(text_of(expansion.problems)), "");
  std::set<std::string> seen;
  for (const Cell& cell : expansion.cells) seen.insert(cell.coordinates[1].second);
  // A fraction of the depth is resolved: half of 48 layers.
  EXPECT_THAT(seen, ElementsAre("[1, 2]", "[24, 4]", "[]"));
}

TEST(Search, EveryProblemIsOneSentenceWithItsPlace) {
  Study study;
  EXPECT_EQ(
      study.problems(search("trials = 1\ntrails = 3\nobjective = [\"efficacy\"]\n[tune.search]\nv_lr = { min = 1 }\n")),
      "a.toml:14:10: tune.trials: found the integer 1, expected an integer from 2 to 10000\n"
      "a.toml:15:1: tune.trails: found an unknown key, expected a key of [tune] (did you mean \"trials\"?)");
  EXPECT_EQ(
      study.problems(
          search("objective = [\"efficacy\"]\n[tune.search]\nvlr = { min = 1, max = 2 }\nv_lr = { min = 1 }\n"
                 "layer = { min = 1, max = 9, choices = [1, 2] }\ntemplates = { min = 1, max = 2 }\n")),
      "a.toml:14:14: tune.objective: found the string \"efficacy\" in the list, expected METRIC.COLUMN, such as "
      "\"edit_success.efficacy\"\n"
      "a.toml:16:1: tune.search.vlr: found an unknown key, expected a parameter of the editor rome (did you mean "
      "\"v_lr\"?)\n"
      "a.toml:17:8: tune.search.v_lr: found no max, expected { min = ..., max = ... } or { choices = [...] }\n"
      "a.toml:18:9: tune.search.layer: found choices beside min, max or log, expected one or the other\n"
      "a.toml:19:13: tune.search.templates: found min and max, expected choices = [...]: the parameter holds a list of "
      "strings");
  EXPECT_EQ(study.problems(search("[tune.search]\nv_lr = { min = 0, max = \"x\" }\nlayer = { min = 0.5, max = 9 }\n")),
            "a.toml:15:16: tune.search.v_lr: found the integer 0, expected a number above 0\n"
            "a.toml:15:25: tune.search.v_lr: found the string \"x\", expected a number above 0\n"
            "a.toml:16:17: tune.search.layer: found the number 0.5, expected an integer from 0");
  EXPECT_EQ(
      study.problems(search("[tune.search]\nv_lr = { min = 2, max = 1 }\nlayer = { min = 0, max = 3, log = true }\n")),
      "a.toml:15:16: tune.search.v_lr: found min = 2 and max = 1, expected min below max\n"
      "a.toml:16:17: tune.search.layer: found min = 0 with log = true, expected min above 0");
  EXPECT_EQ(
      study.problems(search("[tune.search]\nv_lr = { choices = [0.5] }\nlayer = 3\n")),
      "a.toml:15:20: tune.search.v_lr: found fewer than two choices, expected choices = [...] with two values or more\n"
      "a.toml:16:9: tune.search.layer: found the integer 3, expected { min = ..., max = ... } or { choices = [...] }");
  EXPECT_THAT(study.problems(search("trials = 3\n")),
              HasSubstr("a.toml:13:1: tune.search: found nothing, expected a value"));
  EXPECT_THAT(study.problems(search("search = {}\n")),
              HasSubstr("tune.search: found nothing, expected at least one parameter of the editor rome"));
}

TEST(Search, WantsAnExperimentThatOnlyEdits) {
  Study study;
  const std::string space = "[tune.search]\nv_lr = { min = 0.1, max = 1 }\n";
  std::string tuned = search(space);
  tuned.replace(tuned.find("[\"edit\"]"), 8, "[\"edit\", \"finetune\"]");
  EXPECT_THAT(
      study.problems(tuned + "[task]\nid = \"language_modeling\"\nfile = \"text.jsonl\"\n"),
      HasSubstr("a.toml:2:10: experiment.stages: found [\"edit\", \"finetune\"], expected [\"edit\"] with [tune]: "
                "editors are chosen by what they write, never by what of it survives"));
  EXPECT_THAT(study.problems(search(space + "[sweep]\n\"facts.edited\" = [1, 2]\n")),
              HasSubstr("sweep: found beside [tune], expected one of the two"));
  EXPECT_THAT(
      study.problems(search("objective = [\"retention.margin\"]\n" + space)),
      HasSubstr("tune.objective: found retention.margin, expected a column of a [[metric]] of this file; it has "
                "none with id = \"retention\""));
  EXPECT_THAT(study.problems(search(space), {"facts.edited=0"}),
              HasSubstr("facts.edited: found the integer 0, expected at least 1 with [tune]"));
  EXPECT_THAT(study.problems(search(space), {"editor={ id = \"rom\", layer = 5 }"}),
              HasSubstr("did you mean \"rome\"?"));
}

TEST(Search, KeepsAwayFromTheRowsOfOthers) {
  Study study;
  study.folder.write("published.toml",
                     "[model]\npath = \"absent\"\n[facts]\nfile = \"facts.jsonl\"\nlimit = 100\nedited = 5\n"
                     "[editor]\nid = \"rome\"\nlayer = 0.5\n[task]\nid = \"language_modeling\"\nfile = \"absent\"\n"
                     "[[metric]]\nid = \"retention\"\n[sweep]\n\"facts.first\" = [0, 50]\n");
  study.folder.write("other.toml", std::string(kBase) + "[facts2]\n");
  const auto problems = [&](const std::string& first, const std::string& files) {
    const Expansion expansion =
        study.expand(search(cat("apart_from = [", files, "]\n[tune.search]\nv_lr = { min = 0.1, max = 1 }\n")),
                     {"facts.first=" + first});
    EXPECT_EQ(study.folder.shown(text_of(expansion.problems)), "");
    return study.folder.shown(text_of(shared_rows(*expansion.search, expansion.cells, study.catalog, study.locations)));
  };
  EXPECT_EQ(problems("150", "\"published.toml\""), "");
  EXPECT_EQ(problems("120", "\"published.toml\""),
            "a.toml:14:15: tune.apart_from: published.toml uses the rows 50 to 149 of facts.jsonl, and this search the "
            "rows from 120 on, expected no row in both: set facts.first here, or facts.limit there");
  EXPECT_THAT(problems("150", "\"publisht.toml\""),
              HasSubstr("tune.apart_from: found the string \"publisht.toml\", expected an existing experiment's file; "
                        "looked for publisht.toml"));
  EXPECT_THAT(problems("150", "\"other.toml\""),
              HasSubstr("which cannot be read as an experiment: other.toml:13:2: facts2"));
}

}  // namespace
}  // namespace palimpsest::config
