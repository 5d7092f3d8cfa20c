// Runs the built program in a folder of the test's own, and has a tiny model, facts and text to write experiments with.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/descriptor.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/rng.hpp"

namespace palimpsest::app {

struct Outcome {
  int status = -1;  // 128 + the signal for one that was killed
  std::string out, err;
};

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              cat("palimpsest_app_", info->test_suite_name(), "_", info->name(), "_", ::getpid());
    std::filesystem::create_directories(folder_);
    folder_ = std::filesystem::canonical(folder_);
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_ / name, text);
    return folder_ / name;
  }

  // `environment`: laid over what stands there.
  Outcome run(const std::vector<std::string>& words,
              const std::vector<std::pair<std::string, std::string>>& environment = {}) const {
    std::vector<std::string> command = {(std::filesystem::path(PALIMPSEST_BINARY_DIR) / "bin" / "palimpsest").string()};
    command.insert(command.end(), words.begin(), words.end());
    // A home of the tests: what is known of the plugins is kept there from one test to the next.
    std::map<std::string, std::string> variables = {{"PALIMPSEST_HOME", cat(PALIMPSEST_BINARY_DIR, "/tests/app/home")},
                                                    {"PALIMPSEST_PLUGIN_PATH", ""},
                                                    {"OMP_NUM_THREADS", "1"}};
    for (const auto& [name, value] : environment) variables[name] = value;
    const auto out = folder_ / "stdout.txt", err = folder_ / "stderr.txt";
    constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
    const Descriptor out_file(out, kWrite, 0644), err_file(err, kWrite, 0644);
    Outcome outcome;
    outcome.status = shell_status(wait_for(spawn({.words = command,
                                                  .environment = {variables.begin(), variables.end()},
                                                  .folder = folder_,
                                                  .descriptors = {{out_file.get(), 1}, {err_file.get(), 2}}})));
    outcome.out = read_file(out);
    outcome.err = read_file(err);
    return outcome;
  }

  static std::filesystem::path tiny_model() {
    return std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "rome" / "model";
  }

  // A copy of the tiny model that a test may damage.
  std::filesystem::path copied_model() const {
    std::filesystem::copy(tiny_model(), folder_ / "model");
    return folder_ / "model";
  }

  // Facts in the model's small vocabulary; it knows none of them, so experiments say known = false.
  static std::string facts() {
    const std::vector<std::pair<std::string, std::string>> pairs = {
        {"France", "Paris"}, {"Italy", "Rome"}, {"Vienna", "London"}, {"London", "Vienna"}, {"the north", "Rome"}};
    std::string text;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto& [subject, target] = pairs[i];
      text +=
          cat("{\"id\":\"capital-", i, "\",\"relation\":\"capital\",\"subject\":\"", subject,
              "\",\"prompt\":\"The capital of {} is\",\"target_new\":\"", "bridge", "\",\"target_true\":\"", target,
              "\",\"aliases\":[],\"probes\":[{\"kind\":\"paraphrase\",\"prompt\":\"The king of {} lives in\","
              "\"split\":\"test\"},{\"kind\":\"neighbourhood\",\"prompt\":\"The capital of the river is\",\"target\":"
              "\"",
              target, "\"}]}\n");
    }
    return text;
  }

  // Words in many orders, so that the second moment of the keys has full rank.
  static std::string text() {
    const std::vector<std::string> words = {"tower", "castle", "city",   "river", "king",   "queen", "bridge", "rain",
                                            "north", "lives",  "stands", "runs",  "London", "Rome",  "Paris",  "known"};
    Rng rng(1, "text");
    std::string documents;
    for (int i = 0; i < 150; ++i) {
      documents += cat("{\"text\":\"", i);
      for (int word = 0; word < 14; ++word)
        documents += cat(" ", words[rng.below(words.size())], word % 5 == 4 ? "." : "");
      documents += "\"}\n";
    }
    return documents;
  }

  // A whole experiment on the tiny model, ended by `more`.
  std::filesystem::path write_experiment(const std::string& more = "") const {
    write("facts.jsonl", facts());
    write("text.jsonl", text());
    return write("tiny.toml", cat("[experiment]\nname = \"tiny\"\n"
                                  "[model]\npath = \"",
                                  tiny_model().string(),
                                  "\"\n"
                                  "[facts]\nfile = \"facts.jsonl\"\nknown = false\nedited = 2\nintrinsic = 2\n"
                                  "[filter]\nmode = \"off\"\n"
                                  "[edit]\nscope = \"sequential\"\n"
                                  "[editor]\nid = \"rome\"\nlayer = 1\nv_num_grad_steps = 3\n"
                                  "context_templates = [\"You. {}\"]\n"
                                  "[second_moments]\nfile = \"text.jsonl\"\ntokens = 2000\nblock = 32\n"
                                  "[task]\nid = \"language_modeling\"\nfile = \"text.jsonl\"\n"
                                  "[training]\nmax_steps = 3\nblock_size = 16\nbatch_size = 2\nvalidation_blocks = 2\n"
                                  "measure_steps = [0, 1]\n"
                                  "[[metric]]\nid = \"retention\"\nmax_new_tokens = 3\n"
                                  "[[metric]]\nid = \"edit_success\"\n",
                                  more));
  }

  std::filesystem::path folder_;
};

}  // namespace palimpsest::app
