// The score of a trial, which trial is the best, and what is written about it.
#include "experiment/trials.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "analysis/sample_file.hpp"
#include "base/error.hpp"
#include "results/reader.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::experiment {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

config::KeySpec spec(const std::string& name, config::Type type, decltype(config::Value::data) value) {
  config::KeySpec made;
  made.name = name;
  made.type = type;
  made.default_value = config::Value{std::move(value), {}};
  made.doc = "Meaning.";
  return made;
}

// Three trials of an editor whose v_lr is searched, beside a layer that is not the plugin's own and steps that are.
struct Found {
  Found() {
    editor = {"rome",
              "1.0.0",
              {spec("layer", config::Type::integer, std::int64_t{5}), spec("v_lr", config::Type::number, 0.5),
               spec("steps", config::Type::integer, std::int64_t{20})}};
    search.seed = 3;
    search.editor = "rome";
    search.objective = {{"edit_success", "efficacy"}};
    search.parameters = {{editor.parameters[1], {}, 0.1, 1, false, {}}};
    search.apart_from = {config::Value{std::string("published.toml"), {}}};
    for (std::int64_t trial = 0; trial < 3; ++trial) {
      config::Cell cell;
      cell.name = "trial";
      cell.coordinates = {{"trial", std::to_string(trial)}};
      config::Table table;
      table.set("id", config::Value{std::string("rome"), {}});
      table.set("layer", config::Value{std::int64_t{7}, {}});
      table.set("v_lr", config::Value{0.5 + 0.1 * static_cast<double>(trial), {}});
      table.set("steps", config::Value{std::int64_t{20}, {}});
      cell.experiment.resolved.set("editor", config::Value{table, {}});
      cells.push_back(cell);
    }
    trials = {"/trials",
              "",
              {{"trial", "", "", std::vector<std::int64_t>()},
               {"efficacy", "", "", std::vector<double>()},
               {"score", "", "", std::vector<double>()},
               {"facts", "", "", std::vector<std::int64_t>()}}};
  }
  void add(std::int64_t trial, double score) { trials.append_row({trial, score, score, std::int64_t{10}}); }

  config::PluginSpec editor;
  config::Search search;
  std::vector<config::Cell> cells;
  results::Table trials;
};

TEST(Trials, OneThatLostAReplicateHasNoScore) {
  const TemporaryFolder folder;
  config::Search search;
  search.objective = {{"probe", "es"}};
  std::vector<config::Cell> cells;
  analysis::SampleFile file;
  file.metric("probe", {{"es", "rate", "base", "efficacy"}});
  for (const std::int64_t trial : {0, 1}) {
    for (const std::int64_t replicate : {0, 1}) {
      config::Cell cell;
      cell.name = cat("trial=0", trial, ",r", replicate);
      cell.coordinates = {{"trial", std::to_string(trial)}};
      cells.push_back(cell);
      if (trial == 1 && replicate == 1) continue;  // failed
      file.cell({cell.name,
                 replicate,
                 "",
                 "rome",
                 analysis::kMissing,
                 analysis::kMissing,
                 {{"trial", std::to_string(trial)}}});
      file.row("probe", {cell.name, 0, "base", 0, replicate}, "f0", "edited", {0.0});
      file.row("probe", {cell.name, 1, "edited", 0, replicate}, "f0", "edited", {trial == 0 ? 0.5 : 1.0});
    }
  }
  const results::Reader reader(file.write(folder / "sample.h5"));
  const auto table = trials_table(search, cells, analysis::read_measurements(reader));
  ASSERT_EQ(table.rows(), 2U);
  EXPECT_EQ(table.values<double>("score")[0], 0.5);
  EXPECT_EQ(table.values<std::int64_t>("facts")[0], 2);
  EXPECT_EQ(table.values<double>("es")[1], 1.0);
  EXPECT_TRUE(std::isnan(table.values<double>("score")[1]));
  EXPECT_EQ(best_trial(table), 0U);
}

TEST(Trials, TheBestIsTheHighestAndOfEqualOnesTheFirst) {
  Found found;
  EXPECT_FALSE(best_trial(found.trials).has_value());
  found.add(0, kNaN);
  EXPECT_FALSE(best_trial(found.trials).has_value());
  found.add(1, 0.7);
  found.add(2, 0.7);
  EXPECT_EQ(best_trial(found.trials), 1U);
}

TEST(Trials, TheBestIsWrittenWithWhatIsNotThePluginsOwn) {
  Found found;
  found.add(0, 0.5);
  found.add(2, 0.9);
  const std::string text =
      best_as_toml(found.search, found.cells, found.trials, found.editor, "tune/rome.toml", "0.1.0");
  EXPECT_THAT(
      text, HasSubstr("# Found by `palimpsest tune tune/rome.toml` (Palimpsest 0.1.0): the best of 2 trials, seed 3,"));
  EXPECT_THAT(text, HasSubstr("Trial 2: score 0.900"));
  EXPECT_THAT(text, HasSubstr("trial 0: score 0.500"));
  EXPECT_THAT(text, HasSubstr("published.toml;"));
  EXPECT_THAT(text, HasSubstr("\n[defaults.editor.rome]\nlayer = 7\nv_lr = 0.7\n"));
  EXPECT_THAT(text, Not(HasSubstr("steps")));
}

TEST(Trials, WithoutAScoreThereIsNoBest) {
  Found found;
  found.add(0, kNaN);
  EXPECT_THROW(best_as_toml(found.search, found.cells, found.trials, found.editor, "f", "0"), std::runtime_error);
}

}  // namespace
}  // namespace palimpsest::experiment
