#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "conformance/world.hpp"
#include "plugin/conformance/checks.hpp"

namespace palimpsest::conformance {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

plugin::HostBuild this_build() {
  plugin::HostBuild host;
  host.torch_tag = PALIMPSEST_TEST_TORCH_TAG;
  host.torch_version = PALIMPSEST_TEST_TORCH_VERSION;
  return host;
}

// Those of the build, the templates that new ones start from, and those in C and of tier `stable`.
plugin::Registry& good() {
  static plugin::Registry registry({PALIMPSEST_TEST_PLUGINS, PALIMPSEST_TEST_TEMPLATE, PALIMPSEST_TEST_ABI_PLUGINS},
                                   this_build());
  return registry;
}
plugin::Registry& bad() {
  static plugin::Registry registry({PALIMPSEST_TEST_BAD_PLUGINS}, this_build());
  return registry;
}

struct Name {
  std::string kind, id;
};
std::ostream& operator<<(std::ostream& out, const Name& name) { return out << name.kind << " " << name.id; }

// By the notes alone: nothing is loaded while tests are listed.
std::vector<Name> every_plugin() {
  std::vector<Name> names;
  for (const char* kind : {PALIMPSEST_KIND_EDITOR, PALIMPSEST_KIND_FINETUNE_TASK, PALIMPSEST_KIND_AUGMENTER,
                           PALIMPSEST_KIND_FREEZE_POLICY, PALIMPSEST_KIND_METRIC}) {
    for (const auto& id : good().ids(kind)) names.push_back({kind, id});
  }
  return names;
}

class Conformance : public testing::TestWithParam<Name> {
 protected:
  plugin::Plugin plugin_ = good().find(GetParam().kind, GetParam().id);
};

TEST_P(Conformance, KeepsEveryPromise) {
  for (const Check& check : checks()) EXPECT_THAT(check.run(plugin_, data_folder()), IsEmpty()) << check.promise;
  // What a plugin leaves changed in the open, the host's own class would put right: both ways are looked at.
  EXPECT_THAT(check_thread_state(plugin_, data_folder(), /*guarded=*/true), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Plugins, Conformance, testing::ValuesIn(every_plugin()), [](const auto& suite) {
  std::string name = suite.param.kind + "_" + suite.param.id;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '-'; }, '_');
  return name;
});

TEST(EveryPlugin, OfTheBuildLoads) {
  const auto plugins = good().all();
  EXPECT_GE(plugins.size(), 12U);
  for (const auto& refused : good().refused()) ADD_FAILURE() << refused.reason;
}

// Each check on a plugin that was built to break it.
struct Broken {
  const char* kind;
  const char* id;
  Violations (*check)(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
  const char* finding;
};

TEST(BrokenPlugin, IsFoundOut) {
  const auto described = [](const plugin::Plugin& p, const std::filesystem::path&) {
    return check_description(*p.descriptor);
  };
  const auto exporting = [](const plugin::Plugin& p, const std::filesystem::path&) {
    return check_exports(p.library->path());
  };
  const auto unguarded = [](const plugin::Plugin& p, const std::filesystem::path& tiny) {
    return check_thread_state(p, tiny, false);
  };
  const Broken all[] = {
      {"augmenter", "undescribed", described, "expected three numbers"},
      {"augmenter", "undescribed", described, "the summary \"?\" is not one line with a sentence"},
      {"augmenter", "undescribed", described, "the doc of size is no sentence"},
      {"augmenter", "undescribed", described, "the parameter its-depth is not in lower_snake_case"},
      {"augmenter", "undescribed", described, "it offers the interface made-up/1"},
      {"augmenter", "talkative", exporting, "it exports helper_of_mine"},
      {"metric", "cannot_be_made", check_creation, "no such luck"},
      {"metric", "bad_columns", check_columns, "column number: a RATE is not BOOL"},
      {"metric", "bad_columns", check_columns, "column number: the doc is no sentence"},
      {"metric", "bad_columns", check_columns, "column Loud: the name is not in lower_snake_case"},
      {"metric", "bad_columns", check_columns, "column bare: a measured number has no unit"},
      {"metric", "bad_columns", check_columns, "column word: a MEAN is not a number"},
      {"metric", "bad_columns", check_columns, "column compared: a baseline without a RATE"},
      {"metric", "gate_of_nats", check_columns, "has the unit \"nat\"; expected numbers or truths of unit \"1\""},
      {"metric", "unknown_gate", check_columns, "has gate 4; expected NONE, EFFICACY, NEIGHBOURHOOD or PERPLEXITY"},
      {"metric", "missing_integer", check_output, "an INT64 cannot be: declare the column FLOAT64"},
      {"metric", "not_a_truth", check_output, "column truth is BOOL and holds 2"},
      {"metric", "no_rows", check_output, "no row was emitted"},
      {"metric", "never_runs", check_output, "when gives 0; expected an or of PALIMPSEST_WHEN_*"},
      {"metric", "runs_sometime", check_output, "when gives 16; expected an or of PALIMPSEST_WHEN_*"},
      {"finetune-task", "scores_facts", check_columns, "can declare PERPLEXITY only"},
      {"augmenter", "no_template", check_output, "must have exactly one {}"},
      {"freeze-policy", "freezes_all", check_output, "freezes every parameter"},
      {"freeze-policy", "freezes_and_projects", check_output, "layers.1.mlp.down.weight is frozen and projected"},
      {"freeze-policy", "silently_nothing", check_output, "silently gets nothing frozen"},
      {"finetune-task", "ids_outside", check_output, "has an id outside the vocabulary"},
      {"finetune-task", "ids_outside", check_output, "an example behind the last one is no error"},
      {"finetune-task", "empty_split", check_output, "split 1 is empty"},
      {"finetune-task", "loss_without_graph", check_output, "without a graph, so nothing can be trained by it"},
      {"finetune-task", "infinite_loss", check_output, "the loss is not finite"},
      {"finetune-task", "graph_of_its_own", check_output, "the loss has a graph where grad mode is off"},
      {"finetune-task", "other_validation", check_output, "the loss is another one without grad mode"},
      {"finetune-task", "sum_of_losses", check_output, "the loss of two examples is not the mean of theirs"},
      {"finetune-task", "any_example", check_output, "the loss of an example behind the last one is no error"},
      {"editor", "undeclared_layer", check_output, "layer that needs did not name"},
      {"editor", "undeclared_moment", check_output, "moment of layer 1 was asked for, which needs did not name"},
      {"metric", "counts_calls", check_repeatable, "gives something else"},
      {"metric", "counts_instances", check_isolated, "after another one ran"},
      {"metric", "writes_weights", check_weights, "changed the weights"},
      {"metric", "writes_when_refused", check_failing_sink, "a failed call changed the weights"},
      {"metric", "ignores_sink", check_failing_sink, "gave OK"},
      {"metric", "calls_on", check_failing_sink, "the sink was called 2 times though it failed"},
      {"augmenter", "throws", check_failing_sink, "through the C boundary"},
      {"metric", "holds_a_grudge", check_recovers, "a run after a failed one gives something else"},
      {"editor", "first_come", check_order, "depends on the facts before it"},
      {"editor", "loses_state", check_state, "in an instance that was given the state of the first"},
      {"editor", "counts_too_early", check_failed_state, "was refused the state is another one"},
      {"editor", "remembers_refusals", check_failed_state, "was refused the next edit gives something else"},
      {"metric", "leaves_grad_mode", unguarded, "grad mode was"},
      {"metric", "sets_threads", unguarded, "threads became"},
      {"metric", "draws_from_torch", unguarded, "libtorch's default generator was drawn from"},
  };
  for (const Broken& broken : all) {
    const auto found = broken.check(bad().find(broken.kind, broken.id), data_folder());
    EXPECT_THAT(found, Contains(HasSubstr(broken.finding))) << broken.kind << " " << broken.id;
  }
}

TEST(BrokenPlugin, WithoutTheSymbolIsFoundOut) {
  EXPECT_THAT(check_exports(PALIMPSEST_TEST_SILENT), Contains("it does not export palimpsest_library"));
}

// For every check a plugin that passes all the others.
TEST(EveryCheck, HasAPluginThatFailsExactlyIt) {
  struct Culprit {
    const char* check;
    const char* kind;
    const char* id;
  };
  const Culprit culprits[] = {
      {"exports", "augmenter", "talkative"},
      {"description", "augmenter", "undescribed"},
      {"creation", "metric", "refuses_a_second"},
      {"columns", "metric", "bad_columns"},
      {"output", "metric", "not_a_truth"},
      {"output", "metric", "no_rows"},
      {"output", "metric", "never_runs"},
      {"output", "finetune-task", "ids_outside"},
      {"output", "finetune-task", "empty_split"},
      {"output", "editor", "undeclared_layer"},
      {"output", "freeze-policy", "silently_nothing"},
      {"output", "freeze-policy", "freezes_and_projects"},
      {"repeatable", "metric", "counts_calls"},
      {"isolated", "metric", "counts_instances"},
      {"weights", "metric", "writes_weights"},
      {"failing sink", "metric", "writes_when_refused"},
      {"failing sink", "metric", "ignores_sink"},
      {"failing sink", "metric", "calls_on"},
      {"recovers", "metric", "holds_a_grudge"},
      {"order", "editor", "first_come"},
      {"state", "editor", "loses_state"},
      {"failed state", "editor", "counts_too_early"},
      {"failed state", "editor", "remembers_refusals"},
      {"thread state", "metric", "leaves_grad_mode"},
      {"thread state", "metric", "draws_from_torch"},
      {"thread state", "metric", "sets_threads"},
  };
  std::set<std::string> covered;
  for (const Culprit& culprit : culprits) {
    const plugin::Plugin plugin = bad().find(culprit.kind, culprit.id);
    std::vector<std::string> failed;
    for (const Check& check : checks()) {
      if (!check.run(plugin, data_folder()).empty()) failed.emplace_back(check.name);
    }
    EXPECT_THAT(failed, testing::ElementsAre(culprit.check)) << culprit.id;
    covered.insert(culprit.check);
  }
  for (const Check& check : checks()) EXPECT_TRUE(covered.contains(check.name)) << check.name << " has no culprit";
}

// An edit is all or nothing: what was emitted before a failure is taken back by giving back the very tensors.
TEST(FailedEdit, LeavesEveryWeightAsItWas) {
  World world;
  plugin::Editor editor(bad().find("editor", "fails_midway"), world.session(), {});
  const std::string before = world.weights();
  const model::Parameters kept = world.model().current;
  const std::size_t updates = world.model().updates.size();
  const data::Fact& fact = *world.facts().front()->fact;
  const std::vector<plugin::EditRequest> requests = {
      {world.facts().front(), fact.prompt, fact.subject, fact.target_new, PALIMPSEST_PROMPT_OWN}};
  EXPECT_THROW(editor.apply(world.model(), requests), Error);
  EXPECT_EQ(world.weights(), before);
  EXPECT_EQ(world.model().updates.size(), updates);
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(world.model().current[i].is_same(kept[i]));
}

// What a plugin leaves changed, the host's classes put right.
TEST(BrokenPlugin, IsContainedByTheHost) {
  for (const char* id : {"leaves_grad_mode", "draws_from_torch", "sets_threads"}) {
    EXPECT_THAT(check_thread_state(bad().find("metric", id), data_folder(), /*guarded=*/true), IsEmpty()) << id;
  }
  const auto found = check_output(bad().find("augmenter", "throws"), data_folder());
  EXPECT_THAT(found, Contains(HasSubstr("it threw an exception: thrown on purpose")));
}

}  // namespace
}  // namespace palimpsest::conformance
