// Second moments in groups of layers, and a pass that was stopped: the same bits as one pass over all of them.
#include "experiment/moments.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.hpp"
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

}  // namespace
}  // namespace palimpsest::experiment
