// Padded rows against packed blocks: the two ways of batching are the same training where they hold the same tokens,
// and padding weighs nothing.
#include "data/packing.hpp"
#include "model/decoder.hpp"
#include "training/tiny_training.hpp"

namespace palimpsest::training {
namespace {

using model::equal_bits;

std::vector<std::vector<std::int64_t>> documents_of(const std::vector<Example>& rows) {
  std::vector<std::vector<std::int64_t>> documents;
  for (const Example& row : rows) documents.push_back(row.token_ids);
  return documents;
}

TEST(Padding, RowsOfOneLengthTrainAsTheirPackedBlocksDo) {
  const model::Model entering = tiny_model();
  TrainingData padded{tiny_rows(8, 12, 1), tiny_rows(4, 12, 2), {}};
  TrainingData packed;
  for (const auto& [from, to] : {std::pair(&padded.train, &packed.train), {&padded.validation, &packed.validation}}) {
    const data::Blocks blocks = data::pack(documents_of(*from), {.block_size = 12});
    for (std::int64_t i = 0; i < blocks.count(); ++i) {
      to->push_back({{blocks.block(i).begin(), blocks.block(i).end()}, {}});
    }
  }
  // As a padded task gives them: with labels.
  for (auto* rows : {&padded.train, &padded.validation}) {
    for (Example& row : *rows) row.labels = row.token_ids;
  }
  const TrainingOptions options = tiny_options(4);
  const auto decisions = all_trainable(entering.parameters);
  const TrainingResult a = train(entering.config, entering.parameters, padded, decisions, options, 5);
  const TrainingResult b = train(entering.config, entering.parameters, packed, decisions, options, 5);
  for (std::size_t i = 0; i < a.parameters.size(); ++i) {
    EXPECT_TRUE(equal_bits(a.parameters[i], b.parameters[i])) << a.parameters.infos()[i].name;
  }
  EXPECT_EQ(a.dose.tokens, b.dose.tokens);
  EXPECT_DOUBLE_EQ(a.dose.validation_after.value(), b.dose.validation_after.value());
}

// Documents of one length and a separator behind each, cut where one ends: a packed block is a padded row with its end.
TEST(Padding, ARowWithItsEndIsAPackedDocument) {
  std::vector<Example> rows = tiny_rows(3, 7, 1);
  const data::Blocks blocks =
      data::pack(documents_of(rows), {.block_size = 8, .place = data::SeparatorPlace::kBehind, .separator = 2});
  ASSERT_EQ(blocks.count(), 3);
  for (std::int64_t i = 0; i < 3; ++i) {
    Example& row = rows[static_cast<std::size_t>(i)];
    row.token_ids.push_back(2);
    EXPECT_TRUE(std::equal(row.token_ids.begin(), row.token_ids.end(), blocks.block(i).begin(), blocks.block(i).end()));
  }
}

// Ragged rows with prompts that are not learned: the batch's loss is the mean over all labels that count, as if every
// row ran alone.
TEST(Padding, WeighsNothing) {
  const model::Model entering = tiny_model();
  std::vector<Example> rows;
  for (const std::int64_t length : {4, 19, 9, 12}) {
    Example row = tiny_rows(1, length, static_cast<std::uint64_t>(length)).front();
    row.labels = row.token_ids;
    std::fill_n(row.labels.begin(), length / 2, -100);
    rows.push_back(std::move(row));
  }
  const auto loss_of = [&](std::span<const Example> some) {
    return validation_loss(entering.config, entering.parameters, some, static_cast<std::int64_t>(some.size()),
                           Precision::kFloat32, Matmul::kMkl);
  };
  double sum = 0;
  std::int64_t counted = 0;
  for (const Example& row : rows) {
    const std::int64_t labels = counted_labels(row);
    sum += loss_of({&row, 1}) * static_cast<double>(labels);
    counted += labels;
  }
  EXPECT_NEAR(loss_of(rows), sum / static_cast<double>(counted), 1e-5);
}

}  // namespace
}  // namespace palimpsest::training
