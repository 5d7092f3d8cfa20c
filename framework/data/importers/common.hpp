// What the importers of other projects' formats share. Their files carry white space at the ends of texts, which those
// projects strip when they read; so do these.
#pragma once

#include <string>

#include "data/fact.hpp"
#include "data/json_rows.hpp"
#include "data/text.hpp"

namespace palimpsest::data {

inline std::string trimmed_text(const RowReader& row, const std::string& name) {
  return std::string(trimmed(row.text(name)));
}

inline void add_probes(const RowReader& row, const std::string& field, std::string_view kind, std::string_view target,
                       std::string_view split, bool required, Fact& fact) {
  for (const auto& prompt : row.texts(field, required)) {
    const auto core = trimmed(prompt);
    if (core.empty()) {
      row.error(field, "found an empty prompt, expected a text");
      continue;
    }
    fact.probes.push_back({std::string(kind), std::string(core), std::string(target), std::string(split)});
  }
}

}  // namespace palimpsest::data
