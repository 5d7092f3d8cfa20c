// The editor `rome` through the host's own loading and transactions, against the plain Python version
// (tests/golden/rome_reference.py), and what it may cost.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "editing/golden_rome.hpp"
#include "model/work.hpp"

namespace palimpsest {
namespace {

using plugin::EditRequest;
using plugin::EditResult;
using plugin::ParameterValue;
using ::testing::HasSubstr;

// The issue allows 1e-4; the references' own noise floor is 2e-6.
constexpr double kTolerance = 2e-5;

const GoldenRome& golden() { return GoldenRome::get(); }

plugin::Editor rome(const std::vector<ParameterValue>& values) {
  return plugin::Editor(GoldenRome::find("rome"), golden().session(), values);
}

double recorded(const EditResult& result, const std::string& name, std::int64_t step = -1) {
  for (const auto& r : result.records) {
    if (r.name == name && r.step == step) return r.value;
  }
  ADD_FAILURE() << "no record " << name << " at step " << step;
  return 0;
}

std::int64_t recorded_steps(const EditResult& result) {
  return std::count_if(result.records.begin(), result.records.end(), [](const auto& r) { return r.name == "loss"; });
}

class RomeGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(RomeGolden, EqualsPlainPython) {
  const std::string name = GetParam();
  palimpsest_model model = golden().model();
  const std::vector<EditRequest> requests = {golden().request(name)};
  const EditResult result = rome(golden().parameters(name)).apply(model, requests);

  ASSERT_EQ(result.updates.size(), 1u);
  const model::Update& update = result.updates[0];
  const std::int64_t layer = golden().at(name).at("parameters").at("layer");
  EXPECT_EQ(update.parameter, cat("layers.", layer, ".mlp.down.weight"));
  const at::Tensor left = golden().tensor(name + ".left").unsqueeze(1);
  const at::Tensor right = golden().tensor(name + ".right").unsqueeze(1);
  EXPECT_LT(relative_difference(update.v, left), kTolerance);
  EXPECT_LT(relative_difference(update.u, right), kTolerance);
  EXPECT_LT(relative_difference(update.u * recorded(result, "division_factor"),
                                golden().tensor(name + ".delta").unsqueeze(1)),
            kTolerance);
  EXPECT_NEAR(recorded(result, "key_norm"), golden().tensor(name + ".k_star").norm().item<double>(), 1e-4);

  const at::Tensor steps = golden().tensor(name + ".steps");
  ASSERT_EQ(recorded_steps(result), steps.size(0));
  for (std::int64_t i = 0; i < steps.size(0); ++i) {
    const auto wanted = [&](std::int64_t column) { return steps[i][column].item<double>(); };
    EXPECT_NEAR(recorded(result, "loss", i), wanted(0), kTolerance * wanted(0)) << "step " << i;
    EXPECT_NEAR(recorded(result, "nll", i), wanted(1), kTolerance * wanted(1)) << "step " << i;
    // A divergence is a small difference of large terms: its noise is absolute.
    EXPECT_NEAR(recorded(result, "kl", i), wanted(2), 2e-6 + kTolerance * wanted(2)) << "step " << i;
    EXPECT_NEAR(recorded(result, "target_probability", i), wanted(4), 1e-4 * wanted(4)) << "step " << i;
  }

  // The weight is the rounded sum, all others are the model's own, and the update is on record.
  const model::Parameters& base = model.base;
  const at::Tensor sum = base.at(update.parameter).to(at::kDouble) + right.to(at::kDouble).mm(left.to(at::kDouble).t());
  EXPECT_LT(relative_difference(model.current.at(update.parameter), sum), kTolerance);
  EXPECT_TRUE(equal_bits(model.current.with(update.parameter, base.at(update.parameter)), base));
  EXPECT_EQ(model.updates.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Cases, RomeGolden, ::testing::ValuesIn(golden().names()),
                         [](const auto& instance) { return instance.param; });

// With C = I the left vector is k* itself, normalised: so k* is compared number by number.
TEST(Rome, KeyEqualsPlainPython) {
  palimpsest_model model = golden().model();
  const std::vector<EditRequest> requests = {golden().request("no_whitening")};
  const EditResult result = rome(golden().parameters("no_whitening")).apply(model, requests);
  EXPECT_LT(relative_difference(result.updates[0].v.squeeze(1) * recorded(result, "key_norm"),
                                golden().tensor("no_whitening.k_star")),
            kTolerance);
}

TEST(Rome, GoldenCasesCoverClampAndEarlyStop) {
  palimpsest_model clamped = golden().model(), stopped = golden().model();
  const std::vector<EditRequest> clamp_request = {golden().request("clamped")};
  const std::vector<EditRequest> stop_request = {golden().request("stopped")};
  const EditResult bounded = rome(golden().parameters("clamped")).apply(clamped, clamp_request);
  const EditResult free =
      rome(with(golden().parameters("clamped"), number("clamp_norm_factor", 100))).apply(stopped, clamp_request);
  EXPECT_LT(recorded(bounded, "delta_norm"), 0.99 * recorded(free, "delta_norm"));

  palimpsest_model model = golden().model();
  const EditResult early = rome(golden().parameters("stopped")).apply(model, stop_request);
  EXPECT_LT(recorded_steps(early), 40);
  EXPECT_GE(recorded(early, "target_probability", recorded_steps(early) - 1), 0.3);
  EXPECT_LT(recorded(early, "target_probability", recorded_steps(early) - 2), 0.3);
}

TEST(Rome, DoesNoMoreWorkThanItMust) {
  const auto session = golden().session();
  const nlohmann::json& c = golden().at("long");
  const std::int64_t layer = c.at("parameters").at("layer"), steps = c.at("parameters").at("v_num_grad_steps");
  const std::int64_t layers = golden().model().opened->config.layers;
  const auto targets =
      static_cast<std::int64_t>(session->tokenizer->encode_target(c.at("target").get<std::string>()).ids.size());
  std::int64_t prefix = 0, suffix = 0, target_rows = 0;
  const auto count = [&](std::string text, std::int64_t more) {
    const std::string subject = c.at("subject");
    const std::size_t at = text.find("{}");
    text.replace(at, 2, subject);
    const auto lookup =
        static_cast<std::int64_t>(session->tokenizer->index_of_subject_last_token(text, at, at + subject.size()));
    prefix += lookup;
    // The KL row ends at the subject.
    suffix +=
        more < 0 ? 1 : static_cast<std::int64_t>(session->tokenizer->encode_prompt(text).ids.size()) - lookup + more;
  };
  for (std::string context : golden().contexts()) {
    context.replace(context.find("{}"), 2, c.at("prompt").get<std::string>());
    count(context, targets - 1);
    ++target_rows;
  }
  count("{} is a", -1);

  palimpsest_model model = golden().model();
  const std::vector<EditRequest> requests = {golden().request("long")};
  plugin::Editor editor = rome(golden().parameters("long"));
  const model::Work before = model::work();
  editor.apply(model, requests);
  const model::Work done = model::work() - before;
  // One prefix pass through all layers, one suffix pass up to the edited layer (where the keys stop), and the steps
  // above it.
  EXPECT_EQ(done.layer_tokens, prefix * layers + suffix * (layer + 1) + steps * suffix * (layers - layer - 1));
  EXPECT_EQ(done.head_rows, steps * (target_rows * targets + 1));
  EXPECT_EQ(done.forwards, 2 + steps);
  EXPECT_EQ(done.solves, 1);
}

TEST(Rome, AFailedApplyLeavesTheModelAsItWas) {
  palimpsest_model model = golden().model();
  const auto fails = [&](const std::vector<ParameterValue>& values, const std::vector<EditRequest>& requests,
                         ErrorCode code, const char* says) {
    try {
      rome(values).apply(model, requests);
      FAIL() << "nothing was thrown; expected " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(says));
    }
    EXPECT_TRUE(equal_bits(model.current, golden().model().current));
    EXPECT_TRUE(model.updates.empty());
  };
  const EditRequest good = golden().request("plain");
  const auto parameters = golden().parameters("plain");
  fails(with(parameters, texts("context_templates", {"{}", "no place"})), {good}, ErrorCode::kInvalidArgument,
        "\"no place\" must have exactly one {}");
  fails(parameters, {good, {nullptr, "{} is", "Rome", "", PALIMPSEST_PROMPT_OWN}}, ErrorCode::kInvalidArgument,
        "target");
  // The first request's update was already in the transaction.
  fails(parameters, {good, {nullptr, "no subject", "Rome", "Paris", PALIMPSEST_PROMPT_OWN}},
        ErrorCode::kInvalidArgument, "{}");
  fails(with(parameters, integer("layer", 3)), {good}, ErrorCode::kOutOfRange, "3");
}

TEST(Rome, StopsWhenAsked) {
  auto session = golden().session();
  int asked = 0;
  session->cancelled = [&] { return ++asked == 3; };
  plugin::Editor editor(GoldenRome::find("rome"), session, golden().parameters("plain"));
  palimpsest_model model = golden().model();
  const std::vector<EditRequest> requests = {golden().request("plain")};
  try {
    editor.apply(model, requests);
    FAIL() << "it was not stopped";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_EQ(asked, 3);
  EXPECT_TRUE(equal_bits(model.current, golden().model().current));
}

TEST(Rome, InstancesAndModelsShareNothing) {
  const std::vector<EditRequest> plain = {golden().request("plain")}, other = {golden().request("clamped")};
  plugin::Editor first = rome(golden().parameters("plain"));
  plugin::Editor second = rome(with(golden().parameters("plain"), texts("context_templates", {"Rome. {}"})));
  palimpsest_model a = golden().model(), b = golden().model(), c = golden().model(), d = golden().model();
  const EditResult alone = first.apply(a, plain);
  const EditResult differently = second.apply(b, plain);
  first.apply(c, other);
  const EditResult again = first.apply(d, plain);
  EXPECT_TRUE(equal_bits(alone.updates[0].u, again.updates[0].u));
  EXPECT_TRUE(equal_bits(alone.updates[0].v, again.updates[0].v));
  EXPECT_FALSE(equal_bits(alone.updates[0].v, differently.updates[0].v));
  EXPECT_TRUE(equal_bits(a.base, golden().model().base));
}

TEST(Rome, LaterRequestsSeeEarlierUpdates) {
  const EditRequest one = golden().request("plain"), two = golden().request("long");
  plugin::Editor editor = rome(golden().parameters("plain"));
  palimpsest_model together = golden().model(), apart = golden().model();
  editor.apply(together, std::vector<EditRequest>{one, two});
  editor.apply(apart, std::vector<EditRequest>{one});
  editor.apply(apart, std::vector<EditRequest>{two});
  EXPECT_TRUE(equal_bits(together.current, apart.current));
  EXPECT_EQ(together.updates.size(), 2u);
}

TEST(Rome, AugmentedPromptsAreContextsUnlessTheyAreRequests) {
  const auto bare = with(golden().parameters("plain"), texts("context_templates", {"{}"}));
  EditRequest more = golden().request("plain");
  more.prompt = "Therefore. " + more.prompt;
  more.origin = PALIMPSEST_PROMPT_AS_CONTEXT;
  palimpsest_model as_context = golden().model(), given = golden().model(), as_request = golden().model();
  rome(bare).apply(as_context, std::vector<EditRequest>{golden().request("plain"), more});
  rome(with(bare, texts("context_templates", {"{}", "Therefore. {}"})))
      .apply(given, std::vector<EditRequest>{golden().request("plain")});
  EXPECT_EQ(as_context.updates.size(), 1u);
  EXPECT_TRUE(equal_bits(as_context.current, given.current));
  more.origin = PALIMPSEST_PROMPT_AS_REQUEST;
  rome(bare).apply(as_request, std::vector<EditRequest>{golden().request("plain"), more});
  EXPECT_EQ(as_request.updates.size(), 2u);
}

TEST(Rome, SampledContextsFollowTheSeed) {
  const auto sampled = with(with(golden().parameters("plain"), texts("context_templates", {})),
                            integers("context_template_length_params", {4, 3}));
  const std::vector<EditRequest> requests = {golden().request("plain")};
  palimpsest_model a = golden().model(7), b = golden().model(7), c = golden().model(8);
  EXPECT_TRUE(equal_bits(rome(sampled).apply(a, requests).updates[0].v, rome(sampled).apply(b, requests).updates[0].v));
  EXPECT_FALSE(equal_bits(a.updates[0].v, rome(sampled).apply(c, requests).updates[0].v));
}

TEST(Rome, SaysWhatItNeeds) {
  const palimpsest_model_info info = plugin::model_info_of(golden().model().opened->config);
  const plugin::EditorNeeds needs = rome(golden().parameters("plain")).needs(info);
  EXPECT_EQ(needs.second_moments, std::vector<std::int64_t>{1});
  EXPECT_EQ(needs.edits_layers, std::vector<std::int64_t>{1});
  EXPECT_EQ(needs.largest_batch, 1);
  EXPECT_FALSE(needs.edits_nothing);
  EXPECT_TRUE(rome(golden().parameters("no_whitening")).needs(info).second_moments.empty());
  try {
    rome(with(golden().parameters("plain"), integer("layer", 3))).needs(info);
    FAIL() << "layer 3 of 3 was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfRange);
    EXPECT_THAT(error.what(), HasSubstr("layer is 3; the model has layers 0 to 2"));
  }
}

TEST(None, EditsNothing) {
  plugin::Editor none(GoldenRome::find("none"), golden().session(), {});
  palimpsest_model model = golden().model();
  const std::vector<EditRequest> requests = {golden().request("plain")};
  EXPECT_TRUE(none.apply(model, requests).updates.empty());
  EXPECT_TRUE(equal_bits(model.current, golden().model().current));
  EXPECT_TRUE(none.needs(plugin::model_info_of(model.opened->config)).edits_nothing);
}

}  // namespace
}  // namespace palimpsest
