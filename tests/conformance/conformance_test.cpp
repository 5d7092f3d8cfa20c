#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

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
  const Broken all[] = {
      {"augmenter", "undescribed",
       [](const plugin::Plugin& p, const std::filesystem::path&) { return check_description(*p.descriptor); },
       "expected three numbers"},
      {"augmenter", "undescribed",
       [](const plugin::Plugin& p, const std::filesystem::path&) { return check_description(*p.descriptor); },
       "the doc of size is no sentence"},
      {"augmenter", "undescribed",
       [](const plugin::Plugin& p, const std::filesystem::path&) { return check_description(*p.descriptor); },
       "it offers the interface made-up/1"},
      {"augmenter", "talkative",
       [](const plugin::Plugin& p, const std::filesystem::path&) { return check_exports(p.library->path()); },
       "it exports helper_of_mine"},
      {"metric", "cannot_be_made", check_creation, "no such luck"},
      {"metric", "bad_columns", check_columns, "column number: a RATE is not BOOL"},
      {"metric", "bad_columns", check_columns, "column number: the doc is no sentence"},
      {"metric", "gate_of_nats", check_columns, "has the unit \"nat\"; expected numbers or truths of unit \"1\""},
      {"metric", "unknown_gate", check_columns, "has gate 4; expected NONE, EFFICACY, NEIGHBOURHOOD or PERPLEXITY"},
      {"metric", "missing_integer", check_output, "an INT64 cannot be: declare the column FLOAT64"},
      {"finetune-task", "scores_facts", check_columns, "can declare PERPLEXITY only"},
      {"augmenter", "no_template", check_output, "must have exactly one {}"},
      {"freeze-policy", "freezes_all", check_output, "freezes every parameter"},
      {"freeze-policy", "silently_nothing", check_output, "silently gets nothing frozen"},
      {"finetune-task", "ids_outside", check_output, "has an id outside the vocabulary"},
      {"finetune-task", "ids_outside", check_output, "behind the last one is no error"},
      {"editor", "undeclared_layer", check_output, "layer that needs did not name"},
      {"metric", "counts_calls", check_repeatable, "gives something else"},
      {"metric", "counts_instances", check_isolated, "after another one ran"},
      {"metric", "writes_weights", check_weights, "changed the weights"},
      {"metric", "writes_weights", check_failing_sink, "a failed call changed the weights"},
      {"metric", "ignores_sink", check_failing_sink, "gave OK"},
      {"augmenter", "throws", check_failing_sink, "through the C boundary"},
      {"metric", "leaves_grad_mode",
       [](const plugin::Plugin& p, const std::filesystem::path& tiny) { return check_thread_state(p, tiny, false); },
       "grad mode was"},
  };
  for (const Broken& broken : all) {
    const auto found = broken.check(bad().find(broken.kind, broken.id), data_folder());
    EXPECT_THAT(found, Contains(HasSubstr(broken.finding))) << broken.kind << " " << broken.id;
  }
}

// What a plugin leaves changed, the host's classes put right.
TEST(BrokenPlugin, IsContainedByTheHost) {
  EXPECT_THAT(check_thread_state(bad().find("metric", "leaves_grad_mode"), data_folder(), /*guarded=*/true), IsEmpty());
  const auto found = check_output(bad().find("augmenter", "throws"), data_folder());
  EXPECT_THAT(found, Contains(HasSubstr("it threw an exception: thrown on purpose")));
}

TEST(BrokenPlugin, PassesTheChecksItDoesNotBreak) {
  EXPECT_THAT(check_repeatable(bad().find("metric", "counts_instances"), data_folder()), IsEmpty());
  EXPECT_THAT(check_isolated(bad().find("metric", "counts_calls"), data_folder()), IsEmpty());
  EXPECT_THAT(check_output(bad().find("metric", "bad_columns"), data_folder()), IsEmpty());
  EXPECT_THAT(check_exports(bad().find("metric", "bad_columns").library->path()), IsEmpty());
  EXPECT_THAT(check_weights(bad().find("metric", "ignores_sink"), data_folder()), IsEmpty());
}

}  // namespace
}  // namespace palimpsest::conformance
