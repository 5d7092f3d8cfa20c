// The command line is frozen: its help is compared with a committed text. After a wanted change, write that text anew
// with PALIMPSEST_UPDATE_GOLDEN=1.
#include <cstdlib>

#include "driver.hpp"

namespace palimpsest::app {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using Help = ProgramTest;

void compare(const std::string& found, const std::string& name) {
  const auto golden = std::filesystem::path(PALIMPSEST_TEST_DATA) / "app" / name;
  if (std::getenv("PALIMPSEST_UPDATE_GOLDEN") != nullptr) write_file_atomically(golden, found);
  EXPECT_EQ(found, read_file(golden));
}

TEST_F(Help, IsTheCommittedText) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_EQ(help.err, "");
  compare(help.out, "help.txt");
  EXPECT_EQ(run({}).out, help.out);
  EXPECT_EQ(run({"-h"}).out, help.out);
}

TEST_F(Help, OfEachCommandIsTheCommittedText) {
  std::string all;
  for (const char* command :
       {"run", "plan", "validate", "tune", "plugins", "show", "prepare", "new", "check-plugin", "bench"}) {
    const Outcome help = run({command, "--help"});
    EXPECT_EQ(help.status, 0);
    all += help.out + "----\n";
  }
  compare(all, "help_of_commands.txt");
}

TEST_F(Help, ListsOnlyWhatExistsForUsers) {
  const std::string help = run({"--help"}).out;
  for (const char* absent : {"worker", "probe-plugin", "check-plugin-here", "tun"}) {
    EXPECT_THAT(help, ::testing::Not(HasSubstr(cat("  ", absent, " "))));
  }
}

TEST_F(Help, VersionNamesEverythingNumbersDependOn) {
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.out, StartsWith("palimpsest 0.1.0\n"));
  for (const char* part :
       {"\ngit commit ", "\nlibtorch 2.", "\nbuild tag torch-2.", "\nCPU capability ", "\nHDF5 1.", "\nBoost 1."}) {
    EXPECT_THAT(version.out, HasSubstr(part));
  }
}

TEST_F(Help, UnknownWordsAreUsageErrors) {
  const auto expect = [&](const std::vector<std::string>& words, const std::string& message) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "error: " + message + "\n");
  };
  expect({"rum", "x.toml"}, "no command rum (did you mean \"run\"?); see palimpsest --help");
  expect({"--versoin"}, "no option --versoin (did you mean \"--version\"?); see palimpsest --help");
  expect({"tuned", "x.toml"}, "no command tuned (did you mean \"tune\"?); see palimpsest --help");
  expect({"run", "x.toml", "--job", "2"},
         "run has no option --job (did you mean \"--jobs\"?); see palimpsest run --help");
  expect({"run", "x.toml", "--jobs"}, "run: the option --jobs wants a value; see palimpsest run --help");
  expect({"run", "x.toml", "--jobs", "two"}, "--jobs wants a whole number from 1, found \"two\"");
  expect({"run", "x.toml", "--jobs", "0"}, "--jobs wants a whole number from 1, found \"0\"");
  expect({"run", "x.toml", "--jobs", "1", "--jobs", "2"},
         "run: --jobs was given more than once; see palimpsest run --help");
  expect({"run"}, "run wants FILE, found nothing; see palimpsest run --help");
  expect({"plan", "a.toml", "b.toml"}, "plan: one word too many: \"b.toml\"; see palimpsest plan --help");
}

TEST_F(Help, AWorkerIsNotStartedByHand) {
  const Outcome outcome = run({"worker", "x.toml", "--plan-digest", "0", "--node", "n"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, StartsWith("error: `worker` is started by `run`, not by hand"));
}

TEST_F(Help, BenchFindsItsScriptBesideTheBuild) {
  const Outcome outcome = run({"bench"}, {{"PALIMPSEST_HOME", (folder_ / "home").string()}});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, StartsWith("error: the benchmarks read the model in "));
}

TEST_F(Help, BenchSaysWhatIsMissing) {
  // Beside the program there may be benchmarks or not; either way this is no crash and no silence.
  std::filesystem::create_directories(folder_ / "bin");
  std::filesystem::copy(std::filesystem::path(PALIMPSEST_BINARY_DIR) / "bin" / "palimpsest", folder_ / "bin");
  const Descriptor err(folder_ / "err", O_WRONLY | O_CREAT, 0644);
  EXPECT_EQ(shell_status(wait_for(spawn(
                {.words = {(folder_ / "bin" / "palimpsest").string(), "bench"}, .descriptors = {{err.get(), 2}}}))),
            1);
  EXPECT_EQ(read_file(folder_ / "err"),
            cat("error: no benchmark programs (*_benchmark) in ", (folder_ / "bin").string(),
                "; build them with CMake's option PALIMPSEST_BUILD_BENCHMARKS\n"));
}

}  // namespace
}  // namespace palimpsest::app
