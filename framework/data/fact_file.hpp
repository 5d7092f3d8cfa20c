// A file of facts, read by the importer of its format, checked, hashed.
//
// Importers stand in one table (fact_importer.hpp); a format's name is what a configuration says in `facts.format`.
// load_facts is whole or throws: a returned FactFile has no bad row. Wrong rows come as one Error with all of them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/fact.hpp"

namespace palimpsest::data {

struct FactFile {
  std::vector<Fact> facts;  // in file order
  std::string path;
  std::string sha256;  // of the file's bytes
  std::string format;
  std::map<std::string, std::string> options;  // the importer's, as used
  std::vector<std::string> warnings;           // `file:line: ...`
};

struct FactOptions {
  std::string format = "palimpsest";
  std::map<std::string, std::string> options;  // the importer's own, e.g. zsre_target = answers | alt
  std::vector<std::string> special_tokens;     // the tokenizer's, refused in targets besides the well-known ones
};

// Throws Error: kNotFound or kIo for the file, kInvalidArgument for an unknown format or option, a missing required
// option, text that is not UTF-8, a file without rows, or wrong rows (up to 20, each `file:line: field: found,
// expected`).
FactFile load_facts(const std::filesystem::path& path, const FactOptions& options);

}  // namespace palimpsest::data
