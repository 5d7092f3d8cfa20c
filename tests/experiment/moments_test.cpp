// Second moments against k^T k of whole forwards; in groups of layers, and of a pass that was stopped: the same bits as
// one pass over all of them; and imported ones.
#include "experiment/moments.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "experiment/tensor_file.hpp"
#include "model/decoder.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::experiment {
namespace {

struct Stopped {};

class Moments : public ::testing::Test {
 protected:
  Moments() {
    std::string text;
    // More than the 128 blocks between two places where sums are saved.
    for (int i = 0; i < 400; ++i)
      text += cat("{\"text\":\"The king of London ", i, " lives in Rome, Paris, Vienna.\"}\n");
    section_.file = {"text.jsonl", folder_.write("text.jsonl", text)};
    section_.tokens = 100000;
    section_.block = 32;
    section_.dtype = "float32";
  }

  std::filesystem::path progress() const { return folder_ / "progress.safetensors"; }

  std::map<std::int64_t, MomentSum> sums(std::int64_t layers_at_once) {
    section_.layers_at_once = layers_at_once;
    std::map<std::int64_t, MomentSum> found;
    compute_moments(model_, section_, layers(), progress(), [&](const MomentSum& sum) {
      EXPECT_TRUE(found.emplace(sum.layer, sum).second) << "layer " << sum.layer << " came twice";
    });
    EXPECT_FALSE(std::filesystem::exists(progress()));
    return found;
  }

  std::vector<std::int64_t> layers() const {
    std::vector<std::int64_t> all;
    for (std::int64_t layer = 0; layer < model_.config.layers; ++layer) all.push_back(layer);
    return all;
  }

  static void expect_equal(const std::map<std::int64_t, MomentSum>& a, const std::map<std::int64_t, MomentSum>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [layer, sum] : a) {
      EXPECT_TRUE(at::equal(sum.sum, b.at(layer).sum)) << "layer " << layer;
      EXPECT_EQ(sum.count, b.at(layer).count);
    }
  }

  TemporaryFolder folder_;
  const model::Model model_ =
      model::open_model(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "rome" / "model");
  config::SecondMomentsSection section_;
};

TEST_F(Moments, AreTheSameBitsWhateverTheGroups) {
  ASSERT_GE(model_.config.layers, 3);
  const auto all = sums(0);
  EXPECT_EQ(all.size(), static_cast<std::size_t>(model_.config.layers));
  EXPECT_GT(all.at(0).sum.norm().item<double>(), 0);
  for (const std::int64_t at_once : {std::int64_t{1}, std::int64_t{2}, model_.config.layers, std::int64_t{1000}}) {
    SCOPED_TRACE(at_once);
    expect_equal(sums(at_once), all);
  }
}

TEST_F(Moments, AStoppedPassIsTakenUpWithTheGroupsItHadOrOthers) {
  const auto all = sums(0);
  // Stopped after its first group, whose file a second pass may find.
  for (const std::int64_t then : {std::int64_t{2}, std::int64_t{1}, std::int64_t{0}}) {
    SCOPED_TRACE(then);
    section_.layers_at_once = 2;
    EXPECT_THROW(compute_moments(model_, section_, layers(), progress(), [](const MomentSum&) { throw Stopped(); }),
                 Stopped);
    ASSERT_TRUE(std::filesystem::exists(progress())) << "the text is too short for a save";
    expect_equal(sums(then), all);
  }
}

class MomentsOfText : public Moments {
 protected:
  MomentsOfText() {
    std::string text;
    for (const auto& document : documents_) text += cat("{\"text\":\"", document, "\"}\n");
    section_.file = {"few.jsonl", folder_.write("few.jsonl", text)};
    // More sequences than the eight of one forward; the last one ends in the middle of a block.
    section_.block = 8;
    section_.tokens = 62;
  }

  // Sequences of at most a block, one forward each, through all layers.
  std::map<std::int64_t, MomentSum> by_whole_forwards() const {
    const c10::NoGradGuard no_grad;
    std::map<std::int64_t, MomentSum> made;
    for (const std::int64_t layer : layers()) {
      made[layer] = {layer, at::zeros({model_.config.mlp_width, model_.config.mlp_width}, at::kDouble), 0};
    }
    std::int64_t left = section_.tokens;
    for (const auto& document : documents_) {
      const std::vector<std::int64_t> ids = model_.tokenizer->encode(document).ids;
      const at::Tensor all = at::tensor(ids, at::kLong);
      for (std::int64_t begin = 0; begin < all.size(0) && left > 0; begin += section_.block) {
        const std::int64_t size = std::min({section_.block, all.size(0) - begin, left});
        // Nothing of it would count, so it is not read.
        if (size <= section_.skip_first_tokens) break;
        left -= size;
        model::ForwardRequest request;
        request.token_ids = all.narrow(0, begin, size).unsqueeze(0);
        for (const std::int64_t layer : layers()) request.capture.push_back({model::SitePoint::kMlpKey, layer});
        const auto captured = model::forward(model_, request).captured;
        for (const std::int64_t layer : layers()) {
          const at::Tensor k = captured[static_cast<std::size_t>(layer)][0].slice(0, section_.skip_first_tokens);
          made[layer].sum += k.to(at::kDouble).t().mm(k.to(at::kDouble));
          made[layer].count += k.size(0);
        }
      }
    }
    EXPECT_EQ(left, 0) << "the text is too short";
    return made;
  }

  // Of different lengths, so that rows of one forward are padded; one of a single token.
  const std::vector<std::string> documents_ = {
      "The king of London lives.", "You",
      "The old castle of the king stands by the river in the north of the city of Vienna.", "Paris is a city.",
      "The rain is over and the bridge is closed, therefore the queen lives in Rome again."};
};

TEST_F(MomentsOfText, AreThoseOfWholeForwards) {
  for (const std::int64_t skip : {std::int64_t{0}, std::int64_t{1}}) {
    section_.skip_first_tokens = skip;
    const auto wanted = by_whole_forwards();
    for (const std::string dtype : {"float32", "float64"}) {
      SCOPED_TRACE(cat("skip_first_tokens ", skip, ", ", dtype));
      section_.dtype = dtype;
      for (const auto& [layer, moment] : sums(0)) {
        EXPECT_EQ(moment.count, wanted.at(layer).count);
        EXPECT_EQ(moment.sum.scalar_type(), at::kDouble);
        const at::Tensor& sum = wanted.at(layer).sum;
        // Keys of padded rows against keys of whole ones, both float32.
        EXPECT_LT(((moment.sum - sum).norm() / sum.norm()).item<double>(), 1e-5) << "layer " << layer;
      }
    }
  }
}

TEST_F(MomentsOfText, DtypeIsThatOfTheProducts) {
  section_.dtype = "float64";
  const at::Tensor exact = sums(0).at(1).sum;
  section_.dtype = "float32";
  EXPECT_FALSE(at::equal(sums(0).at(1).sum, exact));
}

class ImportedMoments : public ::testing::Test {
 protected:
  static constexpr std::int64_t kWidth = 4;

  std::filesystem::path file() const { return folder_ / "moments.safetensors"; }
  // Layer 1 in float32, layer 3 in float64.
  void write(const std::map<std::string, std::string>& metadata) const {
    write_tensors(file(),
                  {{"layers.1.mom2", first_},
                   {"layers.1.count", at::full({1}, 3, at::kLong)},
                   {"layers.3.mom2", second_},
                   {"layers.3.count", at::full({1}, 5, at::kLong)}},
                  metadata);
  }
  void expect_refused(const std::vector<std::int64_t>& layers, std::int64_t width, ErrorCode code,
                      const std::string& says) const {
    try {
      import_moments(file(), layers, width);
      ADD_FAILURE() << "taken; expected " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_THAT(error.what(), ::testing::HasSubstr(says));
      EXPECT_THAT(error.what(), ::testing::HasSubstr(file().string()));
    }
  }

  TemporaryFolder folder_;
  const at::Tensor first_ = at::arange(16, at::kFloat).view({kWidth, kWidth});
  const at::Tensor second_ = at::eye(kWidth, at::kDouble) * 0.1;
};

TEST_F(ImportedMoments, ASumIsTakenAsItIs) {
  write({{"mom2", "sum"}});
  const auto sums = import_moments(file(), {1, 3}, kWidth);
  ASSERT_EQ(sums.size(), 2U);
  EXPECT_EQ(sums[0].layer, 1);
  EXPECT_EQ(sums[0].count, 3);
  EXPECT_EQ(sums[0].sum.scalar_type(), at::kDouble);
  EXPECT_TRUE(at::equal(sums[0].sum, first_.to(at::kDouble)));
  EXPECT_EQ(sums[1].layer, 3);
  EXPECT_EQ(sums[1].count, 5);
  EXPECT_TRUE(at::equal(sums[1].sum, second_));
}

TEST_F(ImportedMoments, AMeanIsMultipliedByItsCount) {
  write({{"mom2", "mean"}});
  const auto sums = import_moments(file(), {3, 1}, kWidth);
  ASSERT_EQ(sums.size(), 2U);
  EXPECT_EQ(sums[0].layer, 3);
  EXPECT_EQ(sums[0].count, 5);
  EXPECT_TRUE(at::equal(sums[0].sum, second_ * 5.0));
  EXPECT_EQ(sums[1].count, 3);
  EXPECT_TRUE(at::equal(sums[1].sum, first_.to(at::kDouble) * 3.0));
}

TEST_F(ImportedMoments, ALayerThatIsNotThereIsNamed) {
  write({{"mom2", "sum"}});
  expect_refused({1, 2}, kWidth, ErrorCode::kNotFound, "has no tensor layers.2.mom2");
  write_tensors(file(), {{"layers.1.mom2", first_}}, {{"mom2", "sum"}});
  expect_refused({1}, kWidth, ErrorCode::kNotFound, "has no tensor layers.1.count");
}

TEST_F(ImportedMoments, AnotherShapeIsRefused) {
  write({{"mom2", "mean"}});
  expect_refused({1}, 6, ErrorCode::kInvalidArgument, "layers.1.mom2 has 2 dimensions and 16 numbers; expected [6, 6]");
  const at::Tensor count = at::full({1}, 3, at::kLong);
  for (const at::Tensor& moment : {at::zeros({kWidth, 2}), at::zeros({2, kWidth}), at::zeros({kWidth * kWidth})}) {
    write_tensors(file(), {{"layers.1.mom2", moment}, {"layers.1.count", count}}, {{"mom2", "mean"}});
    expect_refused({1}, kWidth, ErrorCode::kInvalidArgument, "expected [4, 4]");
  }
}

TEST_F(ImportedMoments, MetadataMustSayWhatTheMatricesAre) {
  write({});
  expect_refused({1}, kWidth, ErrorCode::kInvalidArgument, "its metadata must say mom2 = \"sum\" or \"mean\"");
  write({{"mom2", "variance"}});
  expect_refused({1}, kWidth, ErrorCode::kInvalidArgument, "or \"mean\", not \"variance\"");
}

}  // namespace
}  // namespace palimpsest::experiment
