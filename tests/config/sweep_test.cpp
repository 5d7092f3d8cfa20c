#include "config/sweep.hpp"

#include <set>

#include "support.hpp"

namespace palimpsest::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kMinimal;
using testing::Study;

std::string minimal(const std::string& more) { return std::string(kMinimal) + more; }

TEST(Sweep, NoSweepIsOneCell) {
  Study study;
  EXPECT_THAT(study.names(kMinimal), ElementsAre("r0"));
}

TEST(Sweep, ProductInTheOrderOfTheFile) {
  Study study;
  const std::string text = minimal(
      "[sweep]\n\"training.weight_decay\" = [0.1, 0]\ntraining.max_steps = [10, 20]\n"
      "[experiment]\nreplicates = 2\n");
  EXPECT_THAT(study.names(text), ElementsAre("weight_decay=0.1,max_steps=10,r0", "weight_decay=0.1,max_steps=10,r1",
                                             "weight_decay=0.1,max_steps=20,r0", "weight_decay=0.1,max_steps=20,r1",
                                             "weight_decay=0,max_steps=10,r0", "weight_decay=0,max_steps=10,r1",
                                             "weight_decay=0,max_steps=20,r0", "weight_decay=0,max_steps=20,r1"));
  const Expansion expansion = study.expand(text);
  const Cell& cell = expansion.cells[5];
  EXPECT_EQ(cell.experiment.training.weight_decay, 0.0);
  EXPECT_EQ(cell.experiment.training.max_steps, 10);
  EXPECT_THAT(cell.coordinates, ElementsAre(std::pair<std::string, std::string>("training.weight_decay", "0"),
                                            std::pair<std::string, std::string>("training.max_steps", "10")));
}

TEST(Sweep, VariantsAreOverlaysThatNameTheCell) {
  Study study;
  const std::string text = minimal(
      "[[sweep.variants]]\nname = \"plain\"\n[[sweep.variants]]\nname = \"frozen\"\nfreeze_policy = {id = "
      "\"edited_layers\"}\n"
      "[[sweep.variants]]\nname = \"control\"\neditor = {id = \"none\"}\n\"training.max_steps\" = 7\n"
      "[sweep]\n\"facts.edited\" = [1, 2]\n");
  EXPECT_EQ(study.problems(text), "");
  EXPECT_THAT(study.names(text), ElementsAre("plain,edited=1,r0", "frozen,edited=1,r0", "control,edited=1,r0",
                                             "plain,edited=2,r0", "frozen,edited=2,r0", "control,edited=2,r0"));
  const Expansion expansion = study.expand(text);
  EXPECT_EQ(expansion.cells[1].experiment.freeze_policy.id, "edited_layers");
  EXPECT_EQ(expansion.cells[1].experiment.editor.id, "rome");
  EXPECT_EQ(expansion.cells[2].experiment.editor.id, "none");
  EXPECT_TRUE(expansion.cells[2].experiment.editor.parameters.empty());
  EXPECT_EQ(expansion.cells[2].experiment.training.max_steps, 7);
  EXPECT_EQ(expansion.cells[2].coordinates.back().second, "control");
}

TEST(Sweep, WholeTablesAreAlternatives) {
  Study study;
  EXPECT_THAT(
      study.names(minimal(
          "[sweep]\neditor = [{id = \"rome\", layer = 3}, {id = \"memit\", layers = [4, 5]}, {id = \"none\"}]\n")),
      ElementsAre("editor=rome,r0", "editor=memit,r0", "editor=none,r0"));
  EXPECT_THAT(study.names(minimal("[sweep]\neditor = [{id = \"rome\", layer = 3}, {id = \"rome\", layer = 4}]\n")),
              ElementsAre("editor=rome+layer=3,r0", "editor=rome+layer=4,r0"));
  EXPECT_THAT(study.names(minimal("[sweep]\nmetric = [[{id = \"retention\"}], [{id = \"edit_success\"}]]\n")),
              ElementsAre("metric=--id-=--retention---,r0", "metric=--id-=--edit_success---,r0"));
}

TEST(Sweep, ASweptIdAndASweptParameterGoTogether) {
  Study study;
  for (const char* keys : {"\"freeze_policy.margin\" = [0, 1]\n\"freeze_policy.id\" = [\"edited_layers\"]\n",
                           "\"freeze_policy.id\" = [\"edited_layers\"]\n\"freeze_policy.margin\" = [0, 1]\n"}) {
    const Expansion expansion = study.expand(minimal(cat("[sweep]\n", keys)));
    ASSERT_EQ(text_of(expansion.problems), "");
    ASSERT_EQ(expansion.cells.size(), 2u);
    EXPECT_EQ(expansion.cells[1].experiment.freeze_policy.parameters.at("margin").as<std::int64_t>(), 1);
    EXPECT_THAT(expansion.cells[1].name, HasSubstr("freeze_policy=edited_layers"));
  }
}

TEST(Sweep, SweptEditorsDropTheParametersOfTheFile) {
  Study study;
  const Expansion expansion = study.expand(minimal("[sweep]\n\"editor.id\" = [\"rome\", \"memit\"]\n"));
  ASSERT_EQ(text_of(expansion.problems), "");
  EXPECT_EQ(expansion.cells[0].experiment.editor.parameters.at("layer").as<std::int64_t>(), 5);
  EXPECT_FALSE(expansion.cells[1].experiment.editor.parameters.contains("layer"));
}

TEST(Sweep, PairedReplicatesSwapRoles) {
  Study study;
  const Expansion expansion = study.expand(kMinimal, {"experiment.replicates=5", "experiment.seed=10"});
  ASSERT_EQ(expansion.cells.size(), 5u);
  std::vector<std::uint64_t> lots, seeds;
  std::vector<bool> swapped;
  for (const Cell& cell : expansion.cells) {
    lots.push_back(cell.roles_seed), seeds.push_back(cell.seed), swapped.push_back(cell.swapped);
  }
  EXPECT_THAT(lots, ElementsAre(10, 10, 11, 11, 12));
  EXPECT_THAT(swapped, ElementsAre(false, true, false, true, false));
  EXPECT_THAT(seeds, ElementsAre(10, 11, 12, 13, 14));
  EXPECT_TRUE(expansion.cells[2].paired);
  EXPECT_TRUE(expansion.cells[3].paired);
  EXPECT_FALSE(expansion.cells[4].paired) << "its pair was not asked for";
  const Expansion unpaired = study.expand(kMinimal, {"experiment.replicates=2", "experiment.swap_roles=false"});
  EXPECT_EQ(unpaired.cells[1].roles_seed, 2u);
  EXPECT_FALSE(unpaired.cells[1].swapped);
  EXPECT_FALSE(unpaired.cells[0].paired);
  EXPECT_FALSE(study.expand(kMinimal).cells[0].paired) << "one replicate";
  const Expansion one_role = study.expand(kMinimal, {"experiment.replicates=2", "facts.intrinsic=0"});
  EXPECT_EQ(one_role.cells[1].roles_seed, 2u) << "nothing to exchange: another lot";
  EXPECT_FALSE(one_role.cells[1].swapped);
}

TEST(Sweep, NamesAreFileNames) {
  Study study;
  study.folder.write("b/facts 1.jsonl", "{}");
  study.folder.write("b/facts-1.jsonl", "{}");
  study.folder.write(std::string(120, 'x'), "{}");
  const auto names =
      study.names(minimal("[sweep]\n\"facts.file\" = [\"b/facts 1.jsonl\", \"b/facts-1.jsonl\", \"" +
                          std::string(120, 'x') + "\"]\n\"task.file\" = [\"text.jsonl\", \"facts.jsonl\"]\n"));
  ASSERT_EQ(names.size(), 6u);
  EXPECT_EQ(names[0], "facts.file=b-facts-1.jsonl,task.file=text.jsonl,r0");
  EXPECT_EQ(names[2], "facts.file=b-facts-1.jsonl-2,task.file=text.jsonl,r0");
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 6u);
  for (const auto& name : names) {
    EXPECT_LE(name.size(), 160u);
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+,-"),
              std::string::npos);
  }
}

TEST(Sweep, LongNamesAreCutAndStayUnique) {
  Study study;
  std::string text = "[sweep]\n";
  for (const char* key :
       {"beta1", "beta2", "weight_decay", "learning_rate", "clip_norm", "stop_loss", "epsilon", "warmup"}) {
    text += cat("\"training.", key, "\" = [0.12345678901, 0.12345678902]\n");
  }
  const auto names = study.names(minimal(text), {"training.evaluate_every=1", "experiment.replicates=2"});
  EXPECT_EQ(names.size(), 512u);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 512u);
  for (const auto& name : names) EXPECT_LE(name.size(), 160u);
}

TEST(Sweep, UnknownKeys) {
  Study study;
  EXPECT_EQ(
      study.problems(minimal("[sweep]\n\"training.lerning_rate\" = [1, 2]\n\"trainin.max_steps\" = [1]\n")),
      "a.toml:15:1: sweep.training.lerning_rate: found an unknown key, expected a key of the experiment (did you mean "
      "\"training.learning_rate\"?)\n"
      "a.toml:16:1: sweep.trainin.max_steps: found an unknown key, expected a key of the experiment (did you mean "
      "\"training\"?)");
  EXPECT_EQ(study.problems(minimal("[sweep]\n\"editor.layr\" = [1, 2]\n")),
            "a.toml:15:1: editor.layr: found an unknown key, expected a key of [editor] (did you mean \"layer\"?)");
  EXPECT_EQ(study.problems(minimal("[sweep]\n\"metric.id\" = [1]\n")),
            "a.toml:15:1: sweep.metric.id: found a key inside a list of tables, expected whole lists of [[metric]] as "
            "alternatives");
  EXPECT_EQ(study.problems(minimal("[sweep]\n\"a..b\" = [1]\n")),
            "a.toml:15:1: sweep: found the key \"a..b\" (a part is empty), expected names joined by dots, such as "
            "training.learning_rate");
}

TEST(Sweep, WrongAlternativesAreReportedWhereTheyStand) {
  Study study;
  EXPECT_EQ(study.problems(
                minimal("[sweep]\n\"training.learning_rate\" = [1e-4, \"x\"]\n\"training.max_steps\" = [1, 2, -3]\n")),
            "a.toml:15:35: training.learning_rate: found the string \"x\", expected a number above 0\n"
            "a.toml:16:31: training.max_steps: found the integer -3, expected an integer from 0");
}

TEST(Sweep, MalformedSweeps) {
  Study study;
  EXPECT_EQ(study.problems("sweep = 3\n" + std::string(kMinimal)),
            "a.toml:1:9: sweep: found the integer 3, expected a table [sweep]");
  EXPECT_EQ(
      study.problems(minimal("[sweep]\n\"training.max_steps\" = 3\n\"training.epochs\" = []\n\"model.dtype\" = "
                             "[\"float32\", \"float32\"]\nvariants = []\n")),
      "a.toml:15:24: sweep.training.max_steps: found the integer 3, expected a list of alternatives\n"
      "a.toml:16:21: sweep.training.epochs: found an empty list, expected a list of alternatives\n"
      "a.toml:17:29: sweep.model.dtype: found the string \"float32\" a second time, expected each alternative once\n"
      "a.toml:18:12: sweep.variants: found an empty list, expected a list of tables [[sweep.variants]]");
  EXPECT_EQ(
      study.problems(minimal("[[sweep.variants]]\nname = \"a b\"\n[[sweep.variants]]\nfilter.mode = \"off\"\n"
                             "[[sweep.variants]]\nname = \"x\"\n[[sweep.variants]]\nname = \"x\"\nedit.scop = 1\n")),
      "a.toml:15:8: sweep.variants[0].name: found the string \"a b\", expected a name of 1 to 48 letters, digits, `.`, "
      "`_`, "
      "`=`, `+` and `-`, the first neither `.` nor `-`\n"
      "a.toml:16:1: sweep.variants[1].name: found nothing, expected a name of 1 to 48 letters, digits, `.`, `_`, `=`, "
      "`+` and "
      "`-`, the first neither `.` nor `-`\n"
      "a.toml:21:8: sweep.variants[3].name: found \"x\" a second time, expected each variant once");
}

TEST(Sweep, KeysOfTheWholeExperimentAreNotSwept) {
  Study study;
  EXPECT_EQ(
      study.problems(
          minimal("[sweep]\n\"experiment.replicates\" = [1, 2]\n\"run.threads\" = [1, 2]\n[[sweep.variants]]\nname = "
                  "\"v\"\nplugin_path = []\nexperiment = {output = \"x\"}\n")),
      "a.toml:15:1: sweep.experiment.replicates: found a key that is the same for all cells, expected it outside "
      "[sweep]\n"
      "a.toml:16:1: sweep.run.threads: found a key that is the same for all cells, expected it outside [sweep]\n"
      "a.toml:19:1: sweep.plugin_path: found a key that is the same for all cells, expected it outside [sweep]\n"
      "a.toml:20:15: sweep.experiment.output: found a key that is the same for all cells, expected it outside [sweep]");
}

TEST(Sweep, EqualCellsAreRefused) {
  Study study;
  EXPECT_EQ(study.problems(minimal("[sweep]\n\"training.clip_norm\" = [1, 1.0]\n")),
            "a.toml:15:1: sweep: found two equal cells, clip_norm=1 and clip_norm=1.0, expected every cell to differ "
            "from the others");
}

TEST(Sweep, AVariantThatSetsASweptKeyStandsAtThatAlternativeAlone) {
  Study study;
  const std::string swept = minimal(
      "[sweep]\n\"training.clip_norm\" = [1, 2, 3]\n[[sweep.variants]]\nname = \"all\"\n"
      "[[sweep.variants]]\nname = \"one\"\ntraining = { max_steps = 7, clip_norm = ");
  const Expansion expansion = study.expand(swept + "2 }\n");
  ASSERT_EQ(text_of(expansion.problems), "");
  std::vector<std::string> names;
  for (const Cell& cell : expansion.cells) names.push_back(cell.name);
  EXPECT_THAT(names,
              ElementsAre("all,clip_norm=1,r0", "all,clip_norm=2,r0", "one,clip_norm=2,r0", "all,clip_norm=3,r0"));
  EXPECT_THAT(study.problems(swept + "4 }\n"),
              HasSubstr("found the integer 4, which is none of the swept alternatives of training.clip_norm"));
}

TEST(Sweep, ExplodingSweepsAreRefusedBeforeTheyAreMade) {
  Study study;
  std::string values = "1";
  for (int i = 2; i <= 400; ++i) values += cat(", ", i);
  std::string text = "[sweep]\n";
  for (const char* key : {"batch_size", "accumulation", "max_steps", "validation_blocks", "measure_every",
                          "evaluate_every", "patience", "clip_norm", "stop_loss", "weight_decay"}) {
    text += cat("\"training.", key, "\" = [", values, "]\n");
  }
  EXPECT_EQ(study.problems(minimal(text), {"experiment.replicates=3"}),
            "a.toml:14:1: sweep: found 400 x 400 x 400 x 400 x 400 x 400 x 400 x 400 x 400 x 400 x 3 replicates cells, "
            "expected at "
            "most 100000");
}

TEST(Sweep, ThrowingExpandCarriesAllProblems) {
  Study study;
  const auto file = study.folder.write("a.toml", minimal("[training]\nmax_steps = -1\nepochs = -1\n"));
  EXPECT_EQ(testing::message_of(study.folder, [&] { expand(load_document(file), study.catalog, study.locations); }),
            "a.toml:15:13: training.max_steps: found the integer -1, expected an integer from 0\n"
            "a.toml:16:10: training.epochs: found the integer -1, expected a number from 0");
}

TEST(Sweep, TextOfACellTellsItApart) {
  Study study;
  const Expansion expansion =
      study.expand(minimal("[sweep]\n\"facts.edited\" = [1, 2]\n"), {"experiment.replicates=2"});
  ASSERT_EQ(expansion.cells.size(), 4u);
  EXPECT_THAT(to_toml(expansion.cells[3]), HasSubstr("[cell]\nname = \"edited=2,r1\"\nreplicate = 1\nroles_seed = "
                                                     "1\nseed = 2\nswapped = true\n\n[cell.coordinates]\n"
                                                     "\"facts.edited\" = \"2\"\n"));
  EXPECT_EQ(to_toml(expansion.cells[0].experiment), to_toml(expansion.cells[1].experiment));
  EXPECT_NE(to_toml(expansion.cells[0].experiment), to_toml(expansion.cells[2].experiment));
}

}  // namespace
}  // namespace palimpsest::config
