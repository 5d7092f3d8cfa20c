// Bad input: one clear error before any work, an exit status that is not 0, nothing half-written.
#include "driver.hpp"

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
