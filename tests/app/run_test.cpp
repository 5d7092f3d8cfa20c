// `palimpsest run` from end to end on a tiny model, through the same plugins, workers and files as any other run.
#include "driver.hpp"
#include "results/reader.hpp"

namespace palimpsest::app {
namespace {

using ::testing::HasSubstr;

class Run : public ProgramTest {
 protected:
  // A home of its own, so that nothing is stored before the first run.
  std::vector<std::pair<std::string, std::string>> home() const {
    return {{"PALIMPSEST_HOME", (folder_ / "home").string()}};
  }
  std::filesystem::path cell(const std::string& name) const {
    return folder_ / "results" / "tiny" / "cells" / (name + ",r0.h5");
  }
};

constexpr const char* kVariants =
    "[[sweep.variants]]\nname = \"plain\"\n"
    "[[sweep.variants]]\nname = \"frozen\"\nfreeze_policy = { id = \"edited_layers\", layers = [1] }\n"
    "[[sweep.variants]]\nname = \"unedited\"\neditor = { id = \"none\" }\n";

TEST_F(Run, WritesResultsAndGoesOnWhereItStopped) {
  write_experiment(kVariants);
  const Outcome first = run({"run", "tiny.toml", "--limit", "1"}, home());
  ASSERT_EQ(first.status, 0) << first.err;
  ASSERT_TRUE(std::filesystem::exists(cell("plain")));
  EXPECT_FALSE(std::filesystem::exists(cell("frozen")));
  const std::string plain = read_file(cell("plain"));

  const Outcome rest = run({"run", "tiny.toml", "--jobs", "2"}, home());
  ASSERT_EQ(rest.status, 0) << rest.err;
  for (const char* name : {"frozen", "unedited"}) EXPECT_TRUE(std::filesystem::exists(cell(name)));
  EXPECT_EQ(read_file(cell("plain")), plain);

  // Where each node took its time stands beside the cells, and in the experiment's file.
  const results::Reader timing(cell("plain").replace_extension(".timing.h5"));
  EXPECT_GE(timing.table("/timing").rows(), 5U);
  const results::Reader all(folder_ / "results" / "tiny" / "tiny.h5");
  for (const char* table : {"/cells", "/facts", "/metrics/retention", "/summary", "/contrasts", "/timing"})
    EXPECT_TRUE(all.has(table)) << table;
  EXPECT_EQ(all.table("/cells").rows(), 3U);

  // What was printed is printed again.
  const Outcome show = run({"show", (folder_ / "results" / "tiny" / "tiny.h5").string()}, home());
  EXPECT_EQ(show.status, 0) << show.err;
  EXPECT_FALSE(show.out.empty());
  EXPECT_THAT(rest.out, HasSubstr(show.out));

  // Nothing is left: no worker starts, and the plan says so.
  EXPECT_EQ(run({"run", "tiny.toml"}, home()).status, 0);
  EXPECT_THAT(run({"plan", "tiny.toml"}, home()).out, HasSubstr("Nothing is left to compute."));

  // Of several files all are checked before the first runs; each has its own results.
  std::string again = read_file(folder_ / "tiny.toml");
  again.replace(again.find("\"tiny\""), 6, "\"again\"");
  write("again.toml", again);
  const Outcome wrong = run({"run", "again.toml", "missing.toml"}, home());
  EXPECT_EQ(wrong.status, 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "results" / "again"));
  const Outcome twice = run({"run", "tiny.toml", "again.toml", "--set", "experiment.name=both"}, home());
  EXPECT_EQ(twice.status, 1);
  EXPECT_THAT(twice.err, HasSubstr("again.toml: its results go to "));
  ASSERT_EQ(run({"run", "tiny.toml", "again.toml"}, home()).status, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "results" / "again" / "again.h5"));

  // A second run from nothing gives the same bytes.
  std::filesystem::remove_all(folder_ / "home" / "store");
  std::filesystem::remove_all(folder_ / "results");
  ASSERT_EQ(run({"run", "tiny.toml", "--jobs", "3"}, home()).status, 0);
  EXPECT_EQ(read_file(cell("plain")), plain);
}

TEST_F(Run, AFailedNodeIsNamedAndTheRestGoesOn) {
  // One cell's policy would freeze everything, which only the run can know; the other cell is done all the same.
  write_experiment(
      "[[sweep.variants]]\nname = \"plain\"\n"
      "[[sweep.variants]]\nname = \"all\"\nfreeze_policy = { id = \"layer_range\", first = 0, last = 2, "
      "freeze_embedding = true, freeze_final_norm = true }\n");
  const Outcome outcome = run({"run", "tiny.toml"}, home());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("error: all,r0: finetune: "));
  EXPECT_THAT(outcome.err, HasSubstr("expected some and not all of them"));
  EXPECT_THAT(outcome.err, HasSubstr("; log: "));
  EXPECT_TRUE(std::filesystem::exists(cell("plain")));
  EXPECT_FALSE(std::filesystem::exists(cell("all")));
}

// What the irrelevance filter cannot search for is said, once, by every worker that filters.
TEST_F(Run, TextsThatTheFilterCannotFindAreNamed) {
  write_experiment();
  // An alias of marks alone for each fact, whichever are drawn.
  const std::string none = "\"aliases\":[]";
  std::string marked = facts(), marks = "!";
  for (std::size_t at; (at = marked.find(none)) != std::string::npos; marks += "!")
    marked.replace(at, none.size(), cat("\"aliases\":[\"", marks, "\"]"));
  write("facts.jsonl", marked);
  const Outcome outcome =
      run({"run", "tiny.toml", "--set", "filter.mode=related", "--set", "experiment.stages=[\"finetune\"]"}, home());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  int logs = 0;
  for (const auto& log : std::filesystem::directory_iterator(folder_ / "results" / "tiny" / "logs")) {
    const std::string text = read_file(log.path());
    const std::size_t said = text.find("warning: the irrelevance filter searches by words");
    if (said == std::string::npos) continue;
    ++logs;
    EXPECT_THAT(text, HasSubstr("!\" of the fact capital-"));
    EXPECT_EQ(text.find("irrelevance filter", said + 30), std::string::npos) << text;
  }
  // The task's score and the fine-tuning.
  EXPECT_GE(logs, 2);
}

}  // namespace
}  // namespace palimpsest::app
