// Everything that can be known to be wrong before any long work, found together: the configuration's problems, then the
// model, the tokenizer, the facts, the texts that plugins will open, the output folder, the device, what the editors
// need and what their second moments are made of. Not known: the columns that a plugin wants of its file.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/memory.hpp"
#include "app/setup.hpp"
#include "config/document.hpp"
#include "data/fact_file.hpp"
#include "experiment/plan.hpp"

namespace palimpsest::app {

// What `run` needs and a plan may do without.
struct CheckOptions {
  bool device = true;   // model.device must be there
  bool weights = true;  // so must the model's weights and tokenizer, beside its config.json
};

struct ModelSizes {
  model::Config config;
  StoredWeights stored;
};

struct Checked {
  std::vector<std::string> problems;            // one line each
  std::vector<std::string> warnings;            // of an experiment without problems, one line each
  std::unique_ptr<experiment::Plan> plan;       // null when there are problems
  std::map<std::string, data::FactFile> facts;  // by path
  std::map<std::string, ModelSizes> models;     // by path
};

// Reads files, writes none but the store's. `setup` outlives the result.
Checked check(const config::Document& document, const Setup& setup, const CheckOptions& options = {});

// Prints problems and warnings to standard error, one line each (`file:line:column: key: ...`), and a count of the
// problems. Returns the exit status: 1, or 0 without problems.
int report_problems(const Checked& checked, const std::string& file);

}  // namespace palimpsest::app
