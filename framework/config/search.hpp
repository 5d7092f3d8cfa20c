// [tune]: a seeded search of the editor's parameters, as `palimpsest tune` carries it out.
//
// A trial is an overlay of [editor]; trial 0 is empty, the values that stand. Each value has a random stream of its
// own, named by seed, trial and parameter: further trials or parameters move no other, except that a trial equal to an
// earlier one is drawn again as a whole. Plain data; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/schema.hpp"

namespace palimpsest::config {

// One entry of [tune.search].
struct SearchedParameter {
  KeySpec spec;                // the editor's own
  Position position;           // of the entry
  double min = 0, max = 0;     // without choices
  bool log = false;            // uniform in the logarithm
  std::vector<Value> choices;  // empty: from min to max
};

// A column of a metric, averaged over the edited facts after the edit.
struct ObjectivePart {
  std::string metric, column;
};

struct Search {
  Position position;  // of [tune]
  std::int64_t trials = 0;
  std::uint64_t seed = 0;
  std::string editor;
  std::vector<ObjectivePart> objective;  // of which the harmonic mean is maximised
  std::vector<SearchedParameter> parameters;
  std::vector<Value> apart_from;  // experiments' files, as given

  // The overlay of [editor] in trial `trial`. `attempt`: another draw, where the first gave a trial that is there
  // already.
  Table draw(std::int64_t trial, std::int64_t attempt) const;
};

// Reads the table `tune` of a document whose [editor] has `editor`'s parameters. Problems go to `check`; with any, the
// result is not to be used.
Search read_search(const Entry& tune, const PluginSpec& editor, Check& check);

}  // namespace palimpsest::config
