// What first-party plugins promise holds in every family of models: editors reach their target, and the embeddings that
// make an edit's key are found and frozen whatever the family has of them.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "model/decoder.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;

// A prompt that ends with its subject: in weights drawn at random attention passes on too little of one token among
// many for an edit to act on a later one.
plugin::EditRequest request_in(World& world) {
  const data::Fact& fact = *world.facts().front()->fact;
  return {world.facts().front(), "The city of {}", fact.subject, fact.target_new, PALIMPSEST_PROMPT_OWN};
}

struct Answer {
  bool target_first = false;  // the target's first token is the most probable one right behind the prompt
  double probability = 0;     // its own
};

Answer answer(World& world, const plugin::EditRequest& request) {
  const model::Tokenizer& tokenizer = *world.opened().tokenizer;
  std::string prompt = request.prompt;
  prompt.replace(prompt.find("{}"), 2, request.subject);
  const std::vector<std::int64_t> ids = tokenizer.encode_prompt(prompt).ids;
  model::ForwardRequest asked;
  asked.token_ids = at::tensor(ids, at::kLong).unsqueeze(0);
  asked.logits = {{0, static_cast<std::int64_t>(ids.size()) - 1}};
  const at::Tensor logits = model::forward(world.opened().config, world.model().current, asked).logits[0];
  const std::int64_t target = tokenizer.encode_target(request.target).ids[0];
  return {logits.argmax().item<std::int64_t>() == target,
          at::softmax(logits.to(at::kDouble), 0)[target].item<double>()};
}

// An objective that weighs the target against nothing else: the models' weights are random, and what they would lose is
// nothing.
std::vector<plugin::ParameterValue> parameters_of(const std::string& editor) {
  if (editor == "ft") {
    return {integers("layers", {1}), integer("num_steps", 200), number("lr", 0.02), text("loss", "target")};
  }
  std::vector<plugin::ParameterValue> values = {texts("context_templates", {"The river. {}", "You. {}"}),
                                                integer("v_num_grad_steps", 40),
                                                number("v_lr", 1),
                                                number("v_weight_decay", 0),
                                                number("kl_factor", 0),
                                                number("clamp_norm_factor", 40)};
  if (editor == "rome") {
    values.push_back(integer("layer", 1));
  } else {
    values.push_back(integers("layers", {0, 1}));
  }
  if (editor == "memit") values.push_back(number("mom2_update_weight", 1e-3));
  if (editor == "alphaedit") {
    values.push_back(number("nullspace_threshold", 1e6));
    values.push_back(number("l2", 1e-3));
  }
  return values;
}

class EveryFamily : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(EveryFamily, EditReachesItsTarget) {
  const auto& [checkpoint, id] = GetParam();
  World world(false, checkpoint);
  const plugin::EditRequest request = request_in(world);
  EXPECT_LT(answer(world, request).probability, 0.05);
  plugin::Editor editor(find("editor", id.c_str()), world.session(), parameters_of(id));
  const plugin::EditResult result = editor.apply(world.model(), std::vector{request});
  // The head's rows are short, so that no token comes near to certainty.
  EXPECT_TRUE(answer(world, request).target_first);
  EXPECT_GT(answer(world, request).probability, 0.3);
  for (const model::Update& update : result.updates) {
    EXPECT_THAT(update.parameter, testing::MatchesRegex("layers\\.[01]\\.mlp\\.down\\.weight"));
  }
}

INSTANTIATE_TEST_SUITE_P(Editors, EveryFamily,
                         testing::Combine(testing::ValuesIn(conformance::every_family()),
                                          testing::Values("rome", "memit", "alphaedit", "ft")),
                         [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param); });

// The weights in bfloat16, as model.dtype = "bfloat16" holds them.
void hold_in_bfloat16(World& world) {
  for (model::Parameters* weights : {&world.model().base, &world.model().edited, &world.model().current}) {
    *weights = weights->to(at::kBFloat16, at::kCPU);
  }
}

// What docs/models.md says an edit in bfloat16 loses, on these models: the share of the update that rounding the
// weights takes away or adds, and some of the target's probability.
TEST_P(EveryFamily, EditInBfloat16LosesLittle) {
  const auto& [checkpoint, id] = GetParam();
  World world(false, checkpoint);
  hold_in_bfloat16(world);
  const plugin::EditRequest request = request_in(world);
  plugin::Editor editor(find("editor", id.c_str()), world.session(), parameters_of(id));
  const plugin::EditResult result = editor.apply(world.model(), std::vector{request});
  const Answer got = answer(world, request);
  EXPECT_TRUE(got.target_first);
  EXPECT_GT(got.probability, 0.3);
  ASSERT_FALSE(result.updates.empty());
  double lost = 0;
  for (const model::Update& update : result.updates) {
    const at::Tensor before = world.model().base.at(update.parameter),
                     after = world.model().current.at(update.parameter);
    EXPECT_EQ(after.scalar_type(), at::kBFloat16);
    const at::Tensor wanted = update.u.defined() ? update.u.matmul(update.v.t()) : update.dense;
    const at::Tensor done = after.to(at::kFloat) - before.to(at::kFloat);
    lost = std::max(lost, ((done - wanted).norm() / wanted.norm()).item<double>());
  }
  EXPECT_LT(lost, 0.01);
  RecordProperty("lost_share", std::to_string(lost));
  RecordProperty("target_probability", std::to_string(got.probability));
}

TEST(EveryFamilysKeys, AreFrozenWithAllThatMakesThem) {
  for (const std::string& checkpoint : conformance::every_family()) {
    World world(true, checkpoint);
    plugin::FreezePolicy policy(find("freeze-policy", "up_to_edited"), world.session(), {});
    const auto decisions = policy.decide(world.model());
    const auto& infos = world.model().current.infos();
    for (std::size_t i = 0; i < infos.size(); ++i) {
      const bool makes_the_key = (infos[i].layer >= 0 && infos[i].layer <= 1) ||
                                 infos[i].role == model::ParameterRole::kEmbedding ||
                                 infos[i].role == model::ParameterRole::kPositionEmbedding;
      EXPECT_EQ(decisions[i].frozen, makes_the_key) << checkpoint << " " << infos[i].name;
    }
  }
}

}  // namespace
}  // namespace palimpsest::plugin_tests
