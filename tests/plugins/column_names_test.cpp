// A name has one definition within a results file: over the columns that all metrics and all tasks' scores of the
// program declare.
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "plugin/conformance/exercise.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {
namespace {

using conformance::World;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Declared {
  std::string owner;
  plugin::Column column;
};

// The names that do not mean one thing, each with both plugins and what they say.
std::vector<std::string> conflicts(const std::vector<Declared>& declared) {
  std::map<std::string, const Declared*> first;
  std::vector<std::string> found;
  const auto said = [](const Declared& one) {
    return cat("by ", one.owner, " as \"", one.column.doc, "\" in \"", one.column.unit, "\"");
  };
  for (const Declared& one : declared) {
    const auto [known, fresh] = first.try_emplace(one.column.name, &one);
    const plugin::Column& before = known->second->column;
    if (fresh || (before.doc == one.column.doc && before.unit == one.column.unit && before.dtype == one.column.dtype)) {
      continue;
    }
    found.push_back(cat(one.column.name, " is declared ", said(*known->second), " and ", said(one)));
  }
  return found;
}

TEST(ColumnNames, HaveOneDefinition) {
  World world;
  std::vector<Declared> declared;
  std::map<std::string_view, int> plugins;  // by kind
  for (const auto& one : registry().all()) {
    const std::string_view kind = one.descriptor->kind;
    if (kind != PALIMPSEST_KIND_METRIC && kind != PALIMPSEST_KIND_FINETUNE_TASK) continue;
    ++plugins[kind];
    for (const auto& column : conformance::make_exercise(one, world)->columns()) {
      declared.push_back({cat(kind, " ", one.descriptor->id), column});
    }
  }
  EXPECT_GE(plugins[PALIMPSEST_KIND_METRIC], 12);
  EXPECT_GE(plugins[PALIMPSEST_KIND_FINETUNE_TASK], 5);
  EXPECT_THAT(conflicts(declared), IsEmpty());
}

TEST(ColumnNames, OfAnotherDefinitionUnitOrTypeNameBothPlugins) {
  plugin::Column rank;
  rank.name = "rank";
  rank.dtype = PALIMPSEST_INT64;
  rank.unit = "token";
  rank.doc = "The place.";
  const Declared known{"metric one", rank};
  Declared other{"metric other", rank};
  EXPECT_THAT(conflicts({known, other}), IsEmpty());
  other.column.doc = "Something else.";
  EXPECT_THAT(conflicts({known, other}),
              ElementsAre("rank is declared by metric one as \"The place.\" in \"token\" and by metric other as "
                          "\"Something else.\" in \"token\""));
  other.column = rank;
  other.column.unit = "1";
  EXPECT_THAT(conflicts({known, other}), ElementsAre(HasSubstr("and by metric other")));
  other.column = rank;
  other.column.dtype = PALIMPSEST_FLOAT64;
  EXPECT_THAT(conflicts({known, other}), ElementsAre(HasSubstr("and by metric other")));
  other.column.name = "place";
  EXPECT_THAT(conflicts({known, other}), IsEmpty());
}

}  // namespace
}  // namespace palimpsest::plugin_tests
