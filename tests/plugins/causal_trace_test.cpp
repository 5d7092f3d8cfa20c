// The metric causal_trace against transformers with hooks (tests/golden/make_causal_trace_golden.py), and what must
// hold of any trace.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <set>

#include "base/error.hpp"
#include "model/safetensors.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;

// Probabilities of float32 logits on both sides.
constexpr double kTolerance = 2e-6;

at::Tensor dump(const std::string& name) {
  static const auto file =
      model::SafetensorsFile::open(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "causal_trace.safetensors");
  const model::TensorView* view = file->find(name);
  if (view == nullptr) throw std::runtime_error("the dump has no " + name);
  at::Tensor tensor = at::empty(view->shape, at::kDouble);
  std::memcpy(tensor.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
  return tensor;
}

struct Traces {
  explicit Traces(const std::vector<plugin::ParameterValue>& values, bool edited = false,
                  const std::string& checkpoint = "llama_tied")
      : world(edited, checkpoint), metric(find("metric", "causal_trace"), world.session(), values) {
    rows = metric.measure(world.model(), {0, "base", 0}, world.facts());
    values_of = by_name(metric.columns(), rows);
  }
  // Of one kind and fact, by (layer, token).
  std::map<std::pair<int, int>, double> effects(const std::string& kind, std::int64_t fact) const {
    std::map<std::pair<int, int>, double> found;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].fact != fact || rows[i].values[0].text != kind) continue;
      found[{static_cast<int>(values_of[i].at("layer")), static_cast<int>(values_of[i].at("position"))}] =
          values_of[i].at("effect");
    }
    return found;
  }

  World world;
  plugin::Metric metric;
  std::vector<plugin::Row> rows;
  std::vector<Values> values_of;
};

std::vector<plugin::ParameterValue> small() { return {integer("samples", 4), integer("window", 2)}; }

TEST(CausalTrace, EqualsTransformersWithHooks) {
  const Traces traces(small());
  const std::vector<std::string> kinds = {"hidden", "mlp", "attention"};
  std::size_t row = 0;
  for (std::int64_t fact = 0; fact < 2; ++fact) {
    const std::string id = traces.world.facts()[static_cast<std::size_t>(fact)]->fact->id;
    const at::Tensor wanted = dump(id + ".rows"), totals = dump(id + ".totals");
    const std::vector<std::int64_t> first = {dump(id + ".answer").item<std::int64_t>()};
    const std::string answer = traces.world.opened().tokenizer->decode(first);
    ASSERT_GT(wanted.select(1, 3).abs().max().item<double>(), 1e-2) << "a trace that could not fail";
    for (std::int64_t i = 0; i < wanted.size(0); ++i, ++row) {
      ASSERT_LT(row, traces.rows.size());
      const auto& values = traces.values_of[row];
      EXPECT_EQ(traces.rows[row].fact, fact);
      EXPECT_EQ(traces.rows[row].values[0].text, kinds[static_cast<std::size_t>(wanted[i][0].item<double>())]);
      EXPECT_EQ(values.at("layer"), wanted[i][1].item<double>());
      EXPECT_EQ(values.at("position"), wanted[i][2].item<double>());
      EXPECT_NEAR(values.at("effect"), wanted[i][3].item<double>(), kTolerance)
          << id << ", " << traces.rows[row].values[0].text << ", layer " << values.at("layer") << ", token "
          << values.at("position");
      EXPECT_NEAR(values.at("total_effect"), totals[0].item<double>(), kTolerance);
      EXPECT_NEAR(values.at("clean_probability"), totals[1].item<double>(), kTolerance);
      EXPECT_EQ(traces.rows[row].values[7].text, answer);
    }
  }
  EXPECT_EQ(row, traces.rows.size());
}

TEST(CausalTrace, WhatIsCompleteRestoresEverything) {
  for (const char* checkpoint : {"llama_tied", "llama_rope3"}) {
    const Traces traces(small(), false, checkpoint);
    for (std::int64_t fact = 0; fact < 2; ++fact) {
      const auto hidden = traces.effects("hidden", fact);
      ASSERT_FALSE(hidden.empty());
      const int last_token = hidden.rbegin()->first.second;
      double total = 0;
      for (std::size_t i = 0; i < traces.rows.size(); ++i) {
        if (traces.rows[i].fact == fact) total = traces.values_of[i].at("total_effect");
      }
      for (const auto& [place, effect] : hidden) {
        const auto [layer, token] = place;
        if (layer != 2) continue;
        // The last layer's output at the last token makes the logits; at any other token nothing reads it.
        EXPECT_NEAR(effect, token == last_token ? total : 0, kTolerance) << checkpoint << ", token " << token;
      }
    }
  }
}

TEST(CausalTrace, WithoutNoiseThereIsNothingToRestore) {
  auto values = small();
  values.push_back(number("noise", 0));
  for (const auto& row : Traces(values).values_of) {
    EXPECT_NEAR(row.at("effect"), 0, kTolerance);
    EXPECT_NEAR(row.at("total_effect"), 0, kTolerance);
  }
}

TEST(CausalTrace, TheSeedGivesTheNoiseAndParametersBoundTheWork) {
  const Traces first(small()), again(small());
  ASSERT_EQ(first.rows.size(), again.rows.size());
  for (std::size_t i = 0; i < first.rows.size(); ++i)
    EXPECT_EQ(first.values_of[i].at("effect"), again.values_of[i].at("effect"));

  auto values = small();
  plugin::ParameterValue kinds;
  kinds.name = "kinds";
  kinds.texts = {"mlp"};
  values.push_back(kinds);
  values.push_back(integer("facts", 1));
  const Traces bounded(values);
  std::set<std::string> classes;
  for (const auto& row : bounded.rows) {
    EXPECT_EQ(row.fact, 0);
    EXPECT_EQ(row.values[0].text, "mlp");
    classes.insert(row.values[3].text);
  }
  EXPECT_THAT(classes,
              ::testing::ElementsAre("first_subject", "first_subsequent", "last", "last_subject", "middle_subject"));
  EXPECT_EQ(bounded.rows.size(), 3U * 10U) << "layers, and tokens from the subject on";
}

}  // namespace
}  // namespace palimpsest::plugin_tests
