// `palimpsest validate` and `plan`: everything that can be known to be wrong is said, at once and with its place, and
// nothing is run.
#include "driver.hpp"

namespace palimpsest::app {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using Validate = ProgramTest;

TEST_F(Validate, AGoodFileIsInOrder) {
  write_experiment("[sweep]\n\"editor\" = [{ id = \"rome\", layer = 1 }, { id = \"none\" }]\n");
  const Outcome outcome = run({"validate", "tiny.toml"});
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out, "tiny.toml is in order: 2 cells\n");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "results"));
}

// Edited, fine-tuned cells without an unedited one beside them are in order, and said to lack it.
TEST_F(Validate, MissesTheUneditedControl) {
  write_experiment();
  for (const char* command : {"validate", "plan"}) {
    const Outcome outcome = run({command, "tiny.toml"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.err,
                StartsWith("warning: tiny.toml: no cell with the task language_modeling is the unedited control"));
  }
  EXPECT_EQ(run({"validate", "tiny.toml", "--set", "experiment.stages=[\"edit\"]"}).err, "");
}

TEST_F(Validate, FindsAllProblemsAtOnce) {
  write("facts.jsonl", facts());
  write("bad.toml",
        "[model]\npath = \"absent\"\n"
        "[facts]\nfile = \"facts.jsonl\"\nedited = \"five\"\nintrinsik = 3\n"
        "[editor]\nid = \"rom\"\n"
        "[[metric]]\nid = \"retention\"\nmax_new_tokens = 51\n"
        "[task]\nid = \"language_modeling\"\n");
  const Outcome outcome = run({"validate", "bad.toml"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("bad.toml:2:8: model.path: "));
  EXPECT_THAT(outcome.err, HasSubstr("bad.toml:5:10: facts.edited: found the string \"five\", expected an integer"));
  EXPECT_THAT(outcome.err, HasSubstr("bad.toml:6:1: facts.intrinsik: "));
  EXPECT_THAT(outcome.err, HasSubstr("did you mean \"intrinsic\"?"));
  EXPECT_THAT(outcome.err, HasSubstr("bad.toml:8:6: editor.id: "));
  EXPECT_THAT(outcome.err, HasSubstr("did you mean \"rome\"?"));
  EXPECT_THAT(outcome.err, HasSubstr("bad.toml:11:18: metric[0].max_new_tokens: "));
  EXPECT_THAT(outcome.err, HasSubstr("task.file"));
  EXPECT_THAT(outcome.err, ::testing::EndsWith("error: bad.toml has 6 problems\n"));
}

TEST_F(Validate, SettingsLieOverTheFile) {
  write_experiment();
  EXPECT_EQ(run({"validate", "tiny.toml", "--set", "facts.edited=1"}).status, 0);
  const Outcome outcome = run({"validate", "tiny.toml", "--set", "facts.edited=-1"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, StartsWith("--set"));
  EXPECT_THAT(outcome.err, HasSubstr("facts.edited: "));
}

TEST_F(Validate, ALayerOutOfRangeIsKnownBeforeAnyWork) {
  write_experiment();
  const Outcome editor = run({"validate", "tiny.toml", "--set", "editor.layer=99"});
  EXPECT_EQ(editor.status, 1);
  EXPECT_EQ(editor.err,
            "--set: editor.layer: found the integer 99, expected a layer from 0 to 2: the model has 3 layers\n"
            "error: tiny.toml has 1 problem\n");
  for (const char* policy :
       {"{ id = \"layer_range\", first = 0, last = 99 }", "{ id = \"up_to_edited\", layers = [99] }",
        "{ id = \"random_layers\", layers = [1, 99] }"}) {
    const Outcome outcome = run({"validate", "tiny.toml", "--set", cat("freeze_policy=", policy)});
    EXPECT_EQ(outcome.status, 1) << policy;
    EXPECT_THAT(outcome.err, StartsWith("--set: freeze_policy.la")) << policy;
    EXPECT_THAT(outcome.err, HasSubstr(": found the integer 99")) << policy;
    EXPECT_THAT(outcome.err, HasSubstr("from 0 to 2: the model has 3 layers\nerror: tiny.toml has 1 problem\n"))
        << policy;
  }
}

TEST_F(Validate, TooFewFactsAreKnownBeforeAnyWork) {
  write_experiment();
  const Outcome outcome = run({"validate", "tiny.toml", "--set", "facts.intrinsic=100"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(
      outcome.err,
      "facts.jsonl gives 5 facts to draw from (facts.first = 0, facts.limit = 0); facts.edited + facts.intrinsic = "
      "102 are wanted\nerror: tiny.toml has 1 problem\n");
}

TEST_F(Validate, PlanShowsCellsAndNodesAndRunsNothing) {
  write_experiment(
      "[[sweep.variants]]\nname = \"plain\"\n[[sweep.variants]]\nname = \"unedited\"\neditor = { id = \"none\" }\n");
  const Outcome plan = run({"plan", "tiny.toml", "--set", "experiment.seed=77"});
  EXPECT_EQ(plan.err, "");
  EXPECT_EQ(plan.status, 0);
  EXPECT_THAT(plan.out,
              StartsWith("Cells (2):\n  plain,r0: rome edits 2 facts, beside 2 intrinsic ones; stages edit finetune; "
                         "task language_modeling; freeze policy none\n"));
  EXPECT_THAT(plan.out, HasSubstr("second moments of layer 1"));
  EXPECT_THAT(plan.out, HasSubstr("\nEstimate: "));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "results"));
}

}  // namespace
}  // namespace palimpsest::app
