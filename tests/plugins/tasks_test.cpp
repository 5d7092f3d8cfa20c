#include <ATen/ATen.h>

#include <cmath>

#include "base/error.hpp"
#include "model/decoder.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;

std::vector<plugin::ParameterValue> with_text(std::vector<plugin::ParameterValue> values = {}) {
  values.push_back(text("file", (conformance::data_folder() / "text.txt").string()));
  return values;
}

TEST(LanguageModeling, GivesEveryDocumentAsItsOwnLabels) {
  World world;
  plugin::Task task(find("finetune-task", "language_modeling"), world.session(), with_text());
  task.prepare(world.model());
  EXPECT_EQ(task.batching(), PALIMPSEST_BATCHING_PACK);
  EXPECT_EQ(task.count(PALIMPSEST_TRAIN), 27);
  EXPECT_EQ(task.count(PALIMPSEST_VALIDATION), 9);
  const plugin::Example example = task.example(PALIMPSEST_TRAIN, 0);
  EXPECT_EQ(example.token_ids, example.labels);
  EXPECT_EQ(world.opened().tokenizer->decode(example.token_ids).substr(0, 10), "The river ");
}

// The mean over tokens of all documents, not the mean of the documents' means.
TEST(LanguageModeling, ScoresAsWholeForwardsDo) {
  World world;
  plugin::Task task(find("finetune-task", "language_modeling"), world.session(),
                    with_text({integer("score_documents", 5), integer("score_tokens", 40)}));
  task.prepare(world.model());
  double sum = 0;
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < 5; ++i) {
    std::vector<std::int64_t> ids = task.example(PALIMPSEST_VALIDATION, i).token_ids;
    ids.resize(std::min<std::size_t>(ids.size(), 40));
    const at::Tensor rows = at::tensor(ids, at::kLong).unsqueeze(0);
    const auto count = static_cast<std::int64_t>(ids.size()) - 1;
    sum += model::causal_loss(world.opened().config, world.model().current, rows, {}, rows).item<double>() *
           static_cast<double>(count);
    tokens += count;
  }
  const Values score = by_name(task.score_columns(), task.score(world.model())).front();
  EXPECT_EQ(score.at("tokens"), static_cast<double>(tokens));
  EXPECT_EQ(score.at("documents"), 5);
  EXPECT_NEAR(score.at("validation_nll"), sum / static_cast<double>(tokens), 1e-5);
  EXPECT_NEAR(std::log(score.at("validation_perplexity")), score.at("validation_nll"), 1e-12);
}

TEST(LanguageModeling, RefusesAFileWithoutValidationDocuments) {
  World world;
  const auto session = std::make_shared<plugin::Session>(*world.session());
  session->open_dataset = [](const plugin::DatasetRequest&) {
    auto dataset = std::make_shared<plugin::TextDataset>();
    dataset->train = {{"One document."}};
    return dataset;
  };
  plugin::Task task(find("finetune-task", "language_modeling"), session, with_text());
  try {
    task.prepare(world.model());
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("1 documents to train on and 0 to validate on"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
