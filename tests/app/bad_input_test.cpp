// Bad input: one clear error before any work, an exit status that is not 0, nothing half-written.
#include <ATen/ATen.h>

#include <map>

#include "driver.hpp"
#include "experiment/tensor_file.hpp"

namespace palimpsest::app {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class BadInput : public ProgramTest {
 protected:
  // Status 1, every part in what is said, and no results folder.
  void refuse(const std::vector<std::string>& words, const std::vector<std::string>& parts) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 1) << outcome.out;
    for (const auto& part : parts) EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "results"));
  }
};

TEST_F(BadInput, MissingFile) {
  const Outcome outcome = run({"run", "absent.toml"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, StartsWith("error: "));
  EXPECT_THAT(outcome.err, HasSubstr("absent.toml"));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  refuse({"run", folder_.string()}, {"error: "});
}

TEST_F(BadInput, WrongKeyTypeAndPlugin) {
  write_experiment();
  refuse({"run", "tiny.toml", "--set", "training.max_step=3"}, {"training.max_step: ", "did you mean \"max_steps\"?"});
  refuse({"run", "tiny.toml", "--set", "training.max_steps=\"three\""},
         {"training.max_steps: found the string \"three\""});
  refuse({"run", "tiny.toml", "--set", "task.id=language_modelling"},
         {"task.id: ", "did you mean \"language_modeling\"?"});
}

TEST_F(BadInput, HostileToml) {
  std::string dots;
  for (int i = 0; i < 100000; ++i) dots += "a.";
  write("dots.toml", dots + "a = 1\n");
  refuse({"run", "dots.toml"}, {"error: dots.toml:1:128: a key of more than 64 dotted parts"});
  write("bytes.toml", "x = \"\xff\xfe\"\n");
  refuse({"run", "bytes.toml"}, {"error: bytes.toml:1:"});
  write("loop.toml", "extends = \"loop.toml\"\n");
  refuse({"run", "loop.toml"}, {"error: loop.toml"});
}

TEST_F(BadInput, DamagedModel) {
  write_experiment();
  const auto model = copied_model();
  const std::string set = cat("model.path=", model.string());
  const auto weights = model / "model.safetensors";
  const std::string whole = read_file(weights);

  write_file_atomically(weights, std::string_view(whole).substr(0, whole.size() - 100));
  refuse({"run", "tiny.toml", "--set", set}, {"model.safetensors"});
  write_file_atomically(weights, std::string_view(whole).substr(0, 5));
  refuse({"run", "tiny.toml", "--set", set}, {"model.safetensors"});
  std::filesystem::remove(weights);
  refuse({"run", "tiny.toml", "--set", set}, {"model.safetensors"});
  write_file_atomically(weights, whole);

  const std::string config = read_file(model / "config.json");
  write_file_atomically(model / "config.json", std::string_view(config).substr(0, config.size() / 2));
  refuse({"run", "tiny.toml", "--set", set}, {"config.json"});
  write_file_atomically(model / "config.json", config);

  const std::string tokenizer = read_file(model / "tokenizer.json");
  write_file_atomically(model / "tokenizer.json", std::string_view(tokenizer).substr(0, tokenizer.size() / 2));
  refuse({"run", "tiny.toml", "--set", set}, {"tokenizer.json"});
  std::filesystem::remove(model / "tokenizer.json");
  refuse({"run", "tiny.toml", "--set", set}, {"tokenizer.json"});
}

TEST_F(BadInput, FactsFile) {
  write_experiment();
  write("facts.jsonl", facts() + "{\"id\": \"broken\"\n{\"id\": \"no-subject\"}\n");
  refuse({"run", "tiny.toml"}, {"facts.jsonl:6", "facts.jsonl:7"});
  write("facts.jsonl", "");
  refuse({"run", "tiny.toml"}, {"facts.jsonl"});
  write("facts.jsonl", facts() + facts());
  refuse({"run", "tiny.toml"}, {"facts.jsonl:6", "capital-0"});
}

// A matched control needs the margin of its true answer; where facts need not be known, it may have none.
TEST_F(BadInput, MatchedControlsWithoutATrueAnswer) {
  write_experiment();
  std::string some = facts();
  const std::string target = ",\"target_true\":\"Vienna\"";
  some.erase(some.find(target), target.size());
  write("facts.jsonl", some);
  EXPECT_EQ(run({"validate", "tiny.toml"}).status, 0);
  const std::string matched = "facts.selection=matched";
  const Outcome outcome = run({"validate", "tiny.toml", "--set", matched});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(
      outcome.err,
      "--set: facts.selection: found \"matched\" with facts.known = false, expected a true answer of every fact: "
      "controls are matched by its margin; the fact capital-3 of facts.jsonl has none (1 of the 5 facts considered)\n"
      "error: tiny.toml has 1 problem\n");
  refuse({"run", "tiny.toml", "--set", matched}, {"facts.selection", "capital-3"});
  // Facts that are known, or that the model gives their true answer at all, have one; so have the rows before.
  for (const char* other : {"facts.known=true", "facts.min_probability=1e-9"})
    EXPECT_EQ(run({"validate", "tiny.toml", "--set", matched, "--set", other}).status, 0) << other;
  EXPECT_EQ(
      run({"validate", "tiny.toml", "--set", matched, "--set", "facts.limit=3", "--set", "facts.intrinsic=1"}).status,
      0);
}

// The texts that plugins open and that second moments are computed over, and the file that these are imported from.
TEST_F(BadInput, TextToTrainOn) {
  write_experiment();
  write("broken.jsonl", text() + "{\"text\": \n");
  refuse({"run", "tiny.toml", "--set", "task.file=broken.jsonl"}, {"broken.jsonl:151: not JSON", "has 1 problem\n"});
  write("latin.txt", "one\n\ncaf\xe9\n");
  refuse({"run", "tiny.toml", "--set", "task.file=latin.txt"}, {"latin.txt:3: byte 0xe9", "has 1 problem\n"});
  refuse({"validate", "tiny.toml", "--set", "augmenter={ id = \"paraphrase\", file = \"broken.jsonl\" }", "--set",
          "task.file=latin.txt"},
         {"broken.jsonl:151: not JSON", "latin.txt:3: byte 0xe9", "has 2 problems\n"});
}

TEST_F(BadInput, TextOfSecondMoments) {
  write_experiment();
  const std::string file = "second_moments.file=";
  write("broken.jsonl", "{\"text\": \"The king lives.\"}\n{\"text\"\n");
  refuse({"run", "tiny.toml", "--set", file + "broken.jsonl"}, {"broken.jsonl:2: not JSON", "has 1 problem\n"});
  write("column.jsonl", "{\"texts\": \"The king lives.\"}\n");
  refuse({"run", "tiny.toml", "--set", file + "column.jsonl"},
         {"column.jsonl:1: there is no column \"text\" (did you mean \"texts\"?)"});
  // Of an editor that needs none it is never read.
  EXPECT_EQ(
      run({"validate", "tiny.toml", "--set", file + "broken.jsonl", "--set", "editor.mom2_adjustment=false"}).status,
      0);
}

TEST_F(BadInput, ImportedSecondMoments) {
  write_experiment();
  const auto refuse_import = [&](const experiment::NamedTensors& tensors,
                                 const std::map<std::string, std::string>& metadata, const std::string& said) {
    experiment::write_tensors(folder_ / "moments.safetensors", tensors, metadata);
    refuse({"run", "tiny.toml", "--set", "second_moments.import=moments.safetensors"},
           {"moments.safetensors", said, "has 1 problem\n"});
  };
  const at::Tensor moment = at::eye(64), count = at::ones({1}, at::kLong);
  refuse_import({{"layers.1.mom2", moment}, {"layers.1.count", count}}, {}, "its metadata must say mom2");
  refuse_import({{"layers.0.mom2", moment}, {"layers.0.count", count}}, {{"mom2", "sum"}},
                "has no tensor layers.1.mom2");
  refuse_import({{"layers.1.mom2", moment}}, {{"mom2", "sum"}}, "has no tensor layers.1.count");
  refuse_import({{"layers.1.mom2", at::eye(32)}, {"layers.1.count", count}}, {{"mom2", "sum"}},
                "layers.1.mom2 has 2 dimensions and 1024 numbers; expected [64, 64]");
  refuse_import({{"layers.1.mom2", moment}, {"layers.1.count", at::ones({2}, at::kLong)}}, {{"mom2", "sum"}},
                "layers.1.count has 2 numbers; expected one");
  experiment::write_tensors(folder_ / "moments.safetensors", {{"layers.1.mom2", moment}, {"layers.1.count", count}},
                            {{"mom2", "mean"}});
  EXPECT_EQ(run({"validate", "tiny.toml", "--set", "second_moments.import=moments.safetensors"}).status, 0);
}

TEST_F(BadInput, UnwritableOutput) {
  write_experiment();
  write("taken", "a file where a folder should be");
  refuse({"run", "tiny.toml", "--set", "experiment.output=taken/results"},
         {"experiment.output is ", "is not a folder"});
  EXPECT_EQ(read_file(folder_ / "taken"), "a file where a folder should be");
  if (::geteuid() != 0) {
    std::filesystem::create_directories(folder_ / "closed");
    std::filesystem::permissions(folder_ / "closed",
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    refuse({"run", "tiny.toml", "--set", "experiment.output=closed/results"}, {"cannot be written to"});
  }
}

TEST_F(BadInput, ResultsFileThatIsNone) {
  write("text.h5", "not HDF5");
  for (const char* name : {"text.h5", "absent.h5"}) {
    const Outcome outcome = run({"show", name});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, StartsWith("error: "));
    EXPECT_THAT(outcome.err, HasSubstr(name));
  }
}

TEST_F(BadInput, NoDevice) {
  write_experiment();
  refuse({"run", "tiny.toml", "--set", "model.device=tpu"}, {"device"});
}

}  // namespace
}  // namespace palimpsest::app
