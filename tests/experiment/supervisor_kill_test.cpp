// The whole supervisor killed at random moments: nothing stays behind, and the same command again gives the same files.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "base/files.hpp"
#include "base/rng.hpp"
#include "child.hpp"
#include "support/scratch.hpp"

namespace palimpsest::experiment {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

class SupervisorKill : public Scratch {
 protected:
  static Files results(const fs::path& folder) {
    Files files;
    for (const auto& item : fs::directory_iterator(folder / "results")) {
      // What a killed write left beside the name is not a result.
      if (item.path().extension() == ".tmp") continue;
      files[item.path().filename().string()] = read_file(item.path());
    }
    return files;
  }

  // Processes with the folder's name in their command line.
  static int living(const fs::path& folder) {
    int count = 0;
    for (const auto& item : fs::directory_iterator("/proc")) {
      std::ifstream file(item.path() / "cmdline");
      std::string line;
      if (std::getline(file, line) && line.find(folder.string()) != std::string::npos) ++count;
    }
    return count;
  }

  static int run(const fs::path& folder, const fs::path& output) {
    return Child({"front", folder.string(), "2"}, output).wait();
  }
};

TEST_F(SupervisorKill, ARerunAfterSigkillGivesTheSameFiles) {
  const auto whole = folder_ / "whole";
  const auto output = folder_ / "out";
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(run(whole, output), 0) << read_file(output);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(read_file(output), "12 nodes: 12 ran\n");
  const auto expected = results(whole);
  ASSERT_EQ(expected.size(), 12u);

  Rng rng(7, "kill moments");
  std::size_t cut_short = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const auto folder = folder_ / cat("trial_", trial);
    {
      Child front({"front", folder.string(), "2"}, output);
      std::this_thread::sleep_for(took * rng.uniform());
      front.send(SIGKILL);
      front.wait();
    }
    for (int i = 0; i < 500 && living(folder) > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_EQ(living(folder), 0) << "a worker outlived its supervisor";
    const auto after_kill = fs::exists(folder / "results") ? results(folder) : Files{};
    cut_short += after_kill.size() < expected.size();
    for (const auto& [id, text] : after_kill) EXPECT_EQ(text, expected.at(id)) << "half a result under its name";
    ASSERT_EQ(run(folder, output), 0) << read_file(output);
    EXPECT_EQ(results(folder), expected);
  }
  EXPECT_GT(cut_short, 5u) << "the kills came too late to prove anything";
}

TEST_F(SupervisorKill, SigintInAShellEndsWithAReportAndIsResumed) {
  const auto folder = folder_ / "run";
  const auto output = folder_ / "out";
  Child front({"front", folder.string(), "2"}, output);
  for (int i = 0; i < 2000 && !fs::exists(folder / "results" / "base"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  front.send(SIGINT);
  EXPECT_EQ(front.wait(), 128 + SIGINT);
  EXPECT_NE(read_file(output).find("stopped"), std::string::npos) << read_file(output);
  EXPECT_EQ(living(folder), 0);
  EXPECT_EQ(run(folder, output), 0) << read_file(output);
  EXPECT_EQ(results(folder).size(), 12u);
}

}  // namespace
}  // namespace palimpsest::experiment
