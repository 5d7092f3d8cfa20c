// The editors r_rome, memit, alphaedit and ft through the host's own loading and transactions, against the plain Python
// versions (tests/golden/*_reference.py), and what they may cost.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.hpp"
#include "editing/golden_editors.hpp"
#include "model/work.hpp"

namespace palimpsest {
namespace {

using plugin::EditRequest;
using plugin::EditResult;
using plugin::ParameterValue;
using ::testing::HasSubstr;

// Float32 values after 25 steps of Adam, then solves: on another processor than the one that wrote the dumps, whose
// products round otherwise, 2.0e-5 was seen.
constexpr double kTolerance = 3e-5;

const GoldenEditors& golden() { return GoldenEditors::get(); }
palimpsest_model fresh_model() { return GoldenRome::get().model(); }
std::string down(std::int64_t layer) { return cat("layers.", layer, ".mlp.down.weight"); }

std::vector<std::int64_t> layers_of(const std::string& editor, const std::string& name) {
  return golden().at(editor, name).at("parameters").at("layers").get<std::vector<std::int64_t>>();
}

void expect_steps(const EditResult& result, std::int64_t request, const at::Tensor& steps) {
  ASSERT_EQ(recorded_steps(result, request), steps.size(0)) << "request " << request;
  for (std::int64_t i = 0; i < steps.size(0); ++i) {
    const auto wanted = [&](std::int64_t column) { return steps[i][column].item<double>(); };
    EXPECT_NEAR(recorded(result, "loss", request, i), wanted(0), 1e-4 * wanted(0)) << "step " << i;
    EXPECT_NEAR(recorded(result, "nll", request, i), wanted(1), 1e-4 * wanted(1)) << "step " << i;
    // A divergence is a small difference of large terms: its noise is absolute.
    EXPECT_NEAR(recorded(result, "kl", request, i), wanted(2), 2e-6 + 1e-4 * wanted(2)) << "step " << i;
  }
}

// One call of memit or alphaedit against the tensors that begin with `prefix`.
void expect_spread(const EditResult& result, const std::string& prefix, const std::vector<std::int64_t>& layers,
                   const std::vector<EditRequest>& requests, double tolerance) {
  ASSERT_EQ(result.updates.size(), layers.size());
  // Places of the edits' own requests: what is recorded of an edit, contexts and all, stands there.
  std::vector<std::int64_t> edits;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].origin == PALIMPSEST_PROMPT_OWN) edits.push_back(static_cast<std::int64_t>(i));
  }
  for (std::size_t i = 0; i < edits.size(); ++i) {
    expect_steps(result, edits[i], golden().tensor(cat(prefix, ".steps.", i)));
  }
  for (const std::int64_t layer : layers) {
    const at::Tensor wanted = golden().tensor(cat(prefix, ".update.", layer));
    EXPECT_LT(relative_difference(update_of(result, down(layer)), wanted), tolerance) << "layer " << layer;
    const auto norm = wanted.norm().item<double>();
    EXPECT_NEAR(recorded(result, "update_norm", -1, layer), norm, 1e-4 * norm);
    const at::Tensor keys = golden().tensor(cat(prefix, ".keys.", layer));
    ASSERT_EQ(keys.size(1), static_cast<std::int64_t>(edits.size()));
    for (std::size_t i = 0; i < edits.size(); ++i) {
      const auto key_norm = keys.select(1, static_cast<std::int64_t>(i)).norm().item<double>();
      EXPECT_NEAR(recorded(result, "key_norm", edits[i], layer), key_norm, 1e-5 * key_norm);
    }
  }
}

class RRomeGolden : public ::testing::TestWithParam<std::string> {};
TEST_P(RRomeGolden, EqualsPlainPython) {
  const std::string name = GetParam();
  palimpsest_model model = fresh_model();
  const EditResult result =
      golden().editor("r_rome", golden().parameters("r_rome", name))->apply(model, golden().calls("r_rome", name)[0]);
  ASSERT_EQ(result.updates.size(), 1u);
  const std::string prefix = cat("r_rome.", name, ".");
  EXPECT_LT(relative_difference(result.updates[0].v.squeeze(1), golden().tensor(prefix + "left")), kTolerance);
  EXPECT_LT(relative_difference(result.updates[0].u.squeeze(1), golden().tensor(prefix + "right")), kTolerance);
}
INSTANTIATE_TEST_SUITE_P(Cases, RRomeGolden, ::testing::ValuesIn(golden().names("r_rome")),
                         [](const auto& instance) { return instance.param; });

class MemitGolden : public ::testing::TestWithParam<std::string> {};
TEST_P(MemitGolden, EqualsPlainPython) {
  const std::string name = GetParam();
  palimpsest_model model = fresh_model();
  const auto requests = golden().calls("memit", name)[0];
  const EditResult result = golden().editor("memit", golden().parameters("memit", name))->apply(model, requests);
  expect_spread(result, "memit." + name, layers_of("memit", name), requests, kTolerance);
  EXPECT_EQ(model.updates.size(), result.updates.size());
}
INSTANTIATE_TEST_SUITE_P(Cases, MemitGolden, ::testing::ValuesIn(golden().names("memit")),
                         [](const auto& instance) { return instance.param; });

class AlphaEditGolden : public ::testing::TestWithParam<std::string> {};
TEST_P(AlphaEditGolden, EqualsPlainPython) {
  const std::string name = GetParam();
  palimpsest_model model = fresh_model();
  const auto editor = golden().editor("alphaedit", golden().parameters("alphaedit", name));
  const auto calls = golden().calls("alphaedit", name);
  for (std::size_t call = 0; call < calls.size(); ++call) {
    const EditResult result = editor->apply(model, calls[call]);
    expect_spread(result, cat("alphaedit.", name, ".", call), layers_of("alphaedit", name), calls[call], kTolerance);
    if (call > 0) continue;
    for (const std::int64_t layer : layers_of("alphaedit", name)) {
      EXPECT_EQ(recorded(result, "nullspace_rank", -1, layer),
                golden().tensor(cat("alphaedit.", name, ".rank.", layer)).item<double>());
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Cases, AlphaEditGolden, ::testing::ValuesIn(golden().names("alphaedit")),
                         [](const auto& instance) { return instance.param; });

class FtGolden : public ::testing::TestWithParam<std::string> {};
TEST_P(FtGolden, EqualsPlainPython) {
  const std::string name = GetParam();
  palimpsest_model model = fresh_model();
  const EditResult result =
      golden().editor("ft", golden().parameters("ft", name))->apply(model, golden().calls("ft", name)[0]);
  const at::Tensor losses = golden().tensor(cat("ft.", name, ".losses"));
  ASSERT_EQ(recorded_steps(result, -1), losses.size(0));
  for (std::int64_t i = 0; i < losses.size(0); ++i) {
    const auto wanted = losses[i].item<double>();
    EXPECT_NEAR(recorded(result, "loss", -1, i), wanted, 1e-4 * wanted) << "pass " << i;
  }
  const auto& parameters = golden().at("ft", name).at("parameters");
  EXPECT_EQ(result.updates.size(), parameters.at("layers").size() * parameters.at("weights").size());
  for (const auto& update : result.updates) {
    // Adam divides by the root of a mean of squares: a gradient near 0 moves a weight by the rate, whichever its sign.
    EXPECT_LT(relative_difference(update.dense, golden().tensor(cat("ft.", name, ".update.", update.parameter))), 1e-4)
        << update.parameter;
    EXPECT_FALSE(update.u.defined());
    const double bound = parameters.value("norm_constraint", 0.0);
    if (bound > 0) {
      EXPECT_LE(update.dense.abs().max().item<double>(), bound * (1 + 1e-4));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Cases, FtGolden, ::testing::ValuesIn(golden().names("ft")),
                         [](const auto& instance) { return instance.param; });

TEST(GoldenCases, CoverWhatTheySay) {
  // One fact of the batch ends earlier than the others, the clamp binds, a loss below the last layer is another loss.
  palimpsest_model model = fresh_model();
  const EditResult stopped = golden()
                                 .editor("memit", golden().parameters("memit", "stopped"))
                                 ->apply(model, golden().calls("memit", "stopped")[0]);
  EXPECT_LT(recorded_steps(stopped, 0), recorded_steps(stopped, 1));
  EXPECT_EQ(recorded_steps(stopped, 1), 12);
  const auto parameters = golden().parameters("memit", "loss_layer");
  const auto requests = golden().calls("memit", "loss_layer")[0];
  palimpsest_model a = fresh_model(), b = fresh_model();
  const EditResult below = golden().editor("memit", parameters)->apply(a, requests);
  const EditResult last = golden().editor("memit", with(parameters, integer("v_loss_layer", -1)))->apply(b, requests);
  EXPECT_GT(relative_difference(update_of(below, down(0)), update_of(last, down(0))), 0.1);
  EXPECT_LT(golden().tensor("ft.stopped.losses").size(0), 60);
}

TEST(Spread, FactsOfABatchAreOptimisedAsEachAlone) {
  const auto parameters = golden().parameters("memit", "plain");
  const auto requests = golden().calls("memit", "plain")[0];
  palimpsest_model together = fresh_model();
  const EditResult batch = golden().editor("memit", parameters)->apply(together, requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    palimpsest_model alone = fresh_model();
    const EditResult one = golden().editor("memit", parameters)->apply(alone, std::vector<EditRequest>{requests[i]});
    const auto request = static_cast<std::int64_t>(i);
    ASSERT_EQ(recorded_steps(batch, request), recorded_steps(one, 0));
    for (std::int64_t step = 0; step < recorded_steps(one, 0); ++step) {
      const double wanted = recorded(one, "loss", 0, step);
      EXPECT_NEAR(recorded(batch, "loss", request, step), wanted, 1e-5 * wanted) << "request " << i << " step " << step;
    }
  }
}

TEST(Spread, DoesNoMoreWorkThanItMust) {
  const auto session = golden().session();
  const auto requests = golden().calls("memit", "plain")[0];
  const auto layers = layers_of("memit", "plain");
  const std::int64_t steps = golden().at("memit", "plain").at("parameters").at("v_num_grad_steps");
  const std::int64_t model_layers = fresh_model().opened->config.layers;
  // Tokens before the lookup token, from it on, and up to it; of the bare prompts alone; head rows of a step.
  std::int64_t prefix = 0, suffix = 0, to_lookup = 0, bare = 0, head_rows = 0;
  // Rows that begin with their lookup token have no prefix: they run apart.
  std::int64_t groups = 1;
  const auto count = [&](const EditRequest& r, std::string text, std::int64_t targets, bool is_bare, bool kl) {
    const std::size_t at = text.find("{}");
    text.replace(at, 2, r.subject);
    const auto lookup =
        static_cast<std::int64_t>(session->tokenizer->index_of_subject_last_token(text, at, at + r.subject.size()));
    prefix += lookup;
    if (lookup == 0) groups = 2;
    if (kl) {
      suffix += 1;
      head_rows += 1;
      return;
    }
    suffix += static_cast<std::int64_t>(session->tokenizer->encode_prompt(text).ids.size()) - lookup + targets - 1;
    head_rows += targets;
    to_lookup += lookup + 1;
    if (is_bare) bare += lookup + 1;
  };
  for (const auto& r : requests) {
    const auto targets = static_cast<std::int64_t>(session->tokenizer->encode_target(r.target).ids.size());
    for (std::string context : golden().contexts()) {
      const bool is_bare = context == "{}";
      context.replace(context.find("{}"), 2, r.prompt);
      count(r, context, targets, is_bare, false);
    }
    count(r, "{} is a", 0, false, true);
  }
  palimpsest_model model = fresh_model();
  const auto editor = golden().editor("memit", golden().parameters("memit", "plain"));
  const model::Work before = model::work();
  editor->apply(model, requests);
  const model::Work done = model::work() - before;
  const std::int64_t last = layers.back();
  // z*: one prefix pass through all layers, the rest up to the last edited layer, and the steps above it.
  std::int64_t wanted = prefix * model_layers + suffix * (last + 1) + steps * suffix * (model_layers - last - 1);
  // Keys: one pass to the first edited layer, then resumes from each edited layer to the next. Residuals: the bare
  // prompts alone go on to the last edited layer.
  std::int64_t from = 0;
  for (const std::int64_t layer : layers) {
    wanted += to_lookup * (layer - from + 1) + bare * (last - layer);
    from = layer;
  }
  EXPECT_EQ(done.layer_tokens, wanted);
  EXPECT_EQ(done.head_rows, steps * head_rows);
  // All three facts run together: one pass for the prefixes, for each group one below and the steps; and for the keys
  // two passes a layer, one at the last.
  EXPECT_EQ(done.forwards, 1 + groups * (1 + steps) + 2 * static_cast<std::int64_t>(layers.size()) - 1);
  EXPECT_EQ(done.solves, static_cast<std::int64_t>(layers.size()));
}

TEST(Ft, RunsTheConstantLayersOnce) {
  const auto session = golden().session();
  const auto requests = golden().calls("ft", "unconstrained")[0];
  std::int64_t tokens = 0;
  for (const auto& r : requests) {
    std::string text = r.prompt;
    text.replace(text.find("{}"), 2, r.subject);
    tokens += static_cast<std::int64_t>(session->tokenizer->encode_prompt(text).ids.size());
  }
  palimpsest_model model = fresh_model();
  const auto editor = golden().editor("ft", golden().parameters("ft", "unconstrained"));
  const model::Work before = model::work();
  const EditResult result = editor->apply(model, requests);
  const model::Work done = model::work() - before;
  // Layer 1 of 3 is trained: layer 0 once, the other two in each pass.
  EXPECT_EQ(done.layer_tokens, tokens + recorded_steps(result, -1) * 2 * tokens);
}

TEST(AlphaEdit, StateGoesWithTheStage) {
  const auto parameters = golden().parameters("alphaedit", "two_batches");
  const auto calls = golden().calls("alphaedit", "two_batches");
  palimpsest_model through = fresh_model(), resumed = fresh_model(), forgotten = fresh_model();
  const auto one = golden().editor("alphaedit", parameters);
  ASSERT_TRUE(one->has_state());
  EXPECT_TRUE(one->save().empty());
  one->apply(through, calls[0]);
  const auto saved = one->save();
  ASSERT_EQ(saved.size(), 2u);
  EXPECT_EQ(saved[0].name, "layers.0.keys");
  EXPECT_EQ(saved[0].value.sizes().vec(), (std::vector<std::int64_t>{64, 2}));
  one->apply(through, calls[1]);

  golden().editor("alphaedit", parameters)->apply(resumed, calls[0]);
  const auto two = golden().editor("alphaedit", parameters);
  two->load(saved);
  two->apply(resumed, calls[1]);
  EXPECT_TRUE(equal_bits(through.current, resumed.current));
  EXPECT_EQ(two->save()[0].value.size(1), 5);

  // Without the state the second batch comes out otherwise; and after a reset the first batch as at first.
  golden().editor("alphaedit", parameters)->apply(forgotten, calls[0]);
  golden().editor("alphaedit", parameters)->apply(forgotten, calls[1]);
  EXPECT_FALSE(equal_bits(through.current, forgotten.current));
  palimpsest_model again = fresh_model(), first = fresh_model();
  one->reset();
  one->apply(again, calls[0]);
  golden().editor("alphaedit", parameters)->apply(first, calls[0]);
  EXPECT_TRUE(equal_bits(again.current, first.current));
}

TEST(AlphaEdit, AFailedCallLeavesItsState) {
  const auto parameters = golden().parameters("alphaedit", "two_batches");
  const auto calls = golden().calls("alphaedit", "two_batches");
  palimpsest_model model = fresh_model();
  const auto editor = golden().editor("alphaedit", parameters);
  editor->apply(model, calls[0]);
  const auto before = editor->save();
  auto bad = calls[1];
  bad[1].prompt = "no place for a subject";
  EXPECT_THROW(editor->apply(model, bad), Error);
  const auto after = editor->save();
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(equal_bits(before[i].value, after[i].value));
  auto other = with(parameters, integers("layers", {1, 2}));
  EXPECT_THROW(golden().editor("alphaedit", other)->load(before), Error);
}

TEST(Augmented, PromptsAreRequestsUnlessTheyAreContexts) {
  for (const std::string editor : {"memit", "alphaedit"}) {
    const std::string name = editor == "memit" ? "one_request" : "energy";
    const auto parameters = golden().parameters(editor, name);
    std::vector<EditRequest> requests = golden().calls(editor, name)[0];
    requests.push_back(requests[0]);
    requests[1].prompt = "Therefore. " + requests[0].prompt;
    const auto rank = [&](palimpsest_prompt_origin origin) {
      requests[1].origin = origin;
      palimpsest_model model = fresh_model();
      return golden().editor(editor, parameters)->apply(model, requests).updates[0].rank();
    };
    EXPECT_EQ(rank(PALIMPSEST_PROMPT_AUGMENTED), 2);
    EXPECT_EQ(rank(PALIMPSEST_PROMPT_AS_REQUEST), 2);
    EXPECT_EQ(rank(PALIMPSEST_PROMPT_AS_CONTEXT), 1);
  }
  std::vector<EditRequest> requests = golden().calls("ft", "stopped")[0];
  requests[1].origin = PALIMPSEST_PROMPT_AS_CONTEXT;
  palimpsest_model model = fresh_model();
  try {
    golden().editor("ft", golden().parameters("ft", "stopped"))->apply(model, requests);
    FAIL() << "a context was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), HasSubstr("edit.augment_as"));
  }
}

TEST(Editors, RefuseParametersThatDoNotFit) {
  const palimpsest_model_info info = plugin::model_info_of(fresh_model().opened->config);
  const auto refuses = [&](const std::string& editor, const std::string& name, ParameterValue changed,
                           const char* says) {
    try {
      golden().editor(editor, with(golden().parameters(editor, name), std::move(changed)))->needs(info);
      FAIL() << editor << " took it; expected " << says;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(says));
    }
  };
  refuses("memit", "plain", integers("layers", {0, 3}), "layers has 3; the model has layers 0 to 2");
  refuses("memit", "plain", integers("layers", {1, 0}), "layers has 0 after 1");
  refuses("memit", "plain", integer("v_loss_layer", 0), "v_loss_layer is 0; expected -1, or 1");
  refuses("memit", "plain", number("mom2_update_weight", 0), "mom2_update_weight is 0");
  refuses("alphaedit", "energy", number("nullspace_threshold", 0.1), "exactly one of them above 0");
  refuses("alphaedit", "energy", number("nullspace_energy", 0), "exactly one of them above 0");
  refuses("alphaedit", "energy", number("l2", 0), "l2 is 0");
  refuses("ft", "stopped", integers("layers", {0, 3}), "layers has 3; the model has layers 0 to 2");
  refuses("ft", "stopped", integers("layers", {1, 1}), "layers has an entry twice");
  const plugin::EditorNeeds needs = golden().editor("memit", golden().parameters("memit", "plain"))->needs(info);
  EXPECT_EQ(needs.second_moments, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(needs.edits_layers, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(needs.largest_batch, 0);
  EXPECT_TRUE(golden().editor("ft", golden().parameters("ft", "stopped"))->needs(info).second_moments.empty());
}

// As in scope isolated, where every fact has an instance of its own in a process of its own.
TEST(AlphaEdit, DecomposesALayerOnceForAllInstancesOfAnExperiment) {
  const auto parameters = golden().parameters("alphaedit", "two_batches");
  const auto session = golden().session();
  std::vector<std::string> computed;
  session->get_or_compute = [&, kept = plugin::values_in_memory()](const plugin::StoreKey& key, bool with_moments,
                                                                   const std::function<plugin::StoreEntry()>& compute) {
    EXPECT_TRUE(with_moments);
    return kept(key, with_moments, [&] {
      for (const auto& [name, value] : key) {
        if (name == "key") computed.push_back(value);
      }
      return compute();
    });
  };
  const auto edit = [&](const std::vector<ParameterValue>& values, const EditRequest& request) {
    palimpsest_model model = fresh_model();
    plugin::Editor(GoldenRome::find("alphaedit"), session, values).apply(model, std::vector<EditRequest>{request});
    return model.current;
  };
  const auto requests = golden().calls("alphaedit", "two_batches")[1];
  ASSERT_EQ(requests.size(), 3U);
  for (const EditRequest& request : requests) {
    palimpsest_model alone = fresh_model();
    golden().editor("alphaedit", parameters)->apply(alone, std::vector<EditRequest>{request});
    EXPECT_TRUE(equal_bits(edit(parameters, request), alone.current));
  }
  ASSERT_EQ(computed.size(), 2U);
  EXPECT_THAT(computed[0], HasSubstr("layer=0 "));
  EXPECT_THAT(computed[1], HasSubstr("layer=1 "));
  edit(with(parameters, number("nullspace_threshold", 0.4)), requests[0]);
  EXPECT_EQ(computed.size(), 4U);
  edit(with(parameters, number("l2", 3)), requests[0]);
  EXPECT_EQ(computed.size(), 4U);
}

TEST(AlphaEdit, RefusesAModelWithoutNullSpace) {
  palimpsest_model model = fresh_model();
  const auto parameters = with(golden().parameters("alphaedit", "two_batches"), number("nullspace_threshold", 1e-9));
  try {
    golden().editor("alphaedit", parameters)->apply(model, golden().calls("alphaedit", "two_batches")[0]);
    FAIL() << "an empty null space was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has no null space"));
  }
  EXPECT_TRUE(equal_bits(model.current, fresh_model().current));
}

}  // namespace
}  // namespace palimpsest
