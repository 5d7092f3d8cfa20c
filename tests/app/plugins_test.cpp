// `palimpsest plugins`: what is listed, described, refused.
#include "driver.hpp"

namespace palimpsest::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Plugins = ProgramTest;

TEST_F(Plugins, ListsKindIdVersionSummaryAndFile) {
  const Outcome list = run({"plugins"});
  EXPECT_EQ(list.status, 0);
  EXPECT_EQ(list.err, "");
  EXPECT_THAT(list.out, StartsWith("kind           id"));
  EXPECT_THAT(list.out, ::testing::ContainsRegex("editor +rome +1\\.0\\.0 +Rank-one edit of one MLP layer per fact"));
  EXPECT_THAT(list.out, HasSubstr(cat(PALIMPSEST_BINARY_DIR, "/plugins/editor_rome.so")));
  EXPECT_THAT(list.out, ::testing::ContainsRegex("finetune-task +language_modeling "));
}

TEST_F(Plugins, DescribesParametersAndGivesATable) {
  const Outcome rome = run({"plugins", "rome"});
  EXPECT_EQ(rome.status, 0);
  EXPECT_THAT(rome.out, StartsWith("editor rome 1.0.0: "));
  EXPECT_THAT(
      rome.out,
      HasSubstr("\n  layer: integer, from 0, a layer: its number, a fraction of the depth, or \"auto\", default 5\n"
                "      Layer whose MLP down-projection"));
  EXPECT_THAT(rome.out, HasSubstr("\n  v_stop_probability: number, from 0 to 1, default 1.0\n"));
  EXPECT_THAT(rome.out, HasSubstr("\n[editor]\nid = \"rome\"\n# layer = 5\n"));
  EXPECT_THAT(
      run({"plugins", "memit"}).out,
      HasSubstr("\n  layers: list of integers, from 0, layers: their numbers, fractions of the depth, or \"auto\" for "
                "all, default [4, 5, 6, 7, 8]\n"));
  const Outcome task = run({"plugins", "language_modeling"});
  EXPECT_THAT(task.out, HasSubstr("\n[task]\nid = \"language_modeling\"\nfile = \"path/to/a/file\"  # required\n"));
  EXPECT_THAT(run({"plugins", "retention"}).out, HasSubstr("\n[[metric]]\nid = \"retention\"\n"));
}

// The table is ready to paste: an experiment that holds it is in order.
TEST_F(Plugins, TheTableIsAccepted) {
  const std::string description = run({"plugins", "edit_success"}).out;
  const std::string table = description.substr(description.find("[[metric]]"));
  std::string experiment = read_file(write_experiment());
  experiment.replace(experiment.find("[[metric]]\nid = \"edit_success\"\n"), std::string::npos, table);
  write("tiny.toml", experiment);
  const Outcome outcome = run({"validate", "tiny.toml"});
  // What is cut off above is the control.
  EXPECT_THAT(outcome.err, StartsWith("warning: tiny.toml: no cell with the task language_modeling is the unedited"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("error")));
  EXPECT_EQ(outcome.status, 0);
}

TEST_F(Plugins, AnIdOfSeveralKindsShowsAll) {
  const Outcome none = run({"plugins", "none"});
  EXPECT_EQ(none.status, 0);
  for (const char* part :
       {"augmenter none ", "editor none ", "freeze-policy none ", "[augmenter]\n", "[freeze_policy]\n"}) {
    EXPECT_THAT(none.out, HasSubstr(part));
  }
}

TEST_F(Plugins, AnUnknownIdIsAnError) {
  const Outcome outcome = run({"plugins", "romr"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err,
              StartsWith("error: no plugin \"romr\" (did you mean \"rome\"?); available: above_edited, alphaedit, "));
}

TEST_F(Plugins, RefusedLibrariesAreSaidWithTheirReason) {
  std::filesystem::create_directories(folder_ / "more");
  write("more/cut.so",
        "\x7f"
        "ELF");
  const Outcome list = run({"plugins"}, {{"PALIMPSEST_PLUGIN_PATH", (folder_ / "more").string()}});
  EXPECT_EQ(list.status, 0);
  EXPECT_THAT(list.err, StartsWith("refused: "));
  EXPECT_THAT(list.err, HasSubstr((folder_ / "more" / "cut.so").string()));
  EXPECT_THAT(list.out, HasSubstr("rome"));
  const Outcome absent = run({"plugins"}, {{"PALIMPSEST_PLUGIN_PATH", (folder_ / "absent").string()}});
  EXPECT_EQ(absent.status, 1);
  EXPECT_EQ(absent.err, cat("error: the plugin folder ", (folder_ / "absent").string(),
                            " does not exist; build the plugin that belongs there, or correct the path (plugin_path, "
                            "PALIMPSEST_PLUGIN_PATH)\n"));
}

}  // namespace
}  // namespace palimpsest::app
