// The schema published with the retention study's code: CounterFact flattened, one JSON object a line.
//
// prompt (template), subject, target_new.str, target_true.str, paraphrase_prompts (test probes), neighborhood_prompts
// (probes that expect target_true); other fields are not needed. There is no id, so a fact is named by its line, and no
// relation, so the template stands for it.
#include "data/fact_importer.hpp"
#include "data/importers/common.hpp"

namespace palimpsest::data {
namespace {

Fact read(const RowReader& row, const std::map<std::string, std::string>&, std::vector<std::string>&) {
  Fact fact;
  fact.id = cat("line-", row.line());
  fact.subject = trimmed_text(row, "subject");
  fact.prompt = trimmed_text(row, "prompt");
  fact.relation = fact.prompt;
  if (const auto target = row.object("target_new")) fact.target_new = trimmed_text(*target, "str");
  if (const auto target = row.object("target_true")) fact.target_true = trimmed_text(*target, "str");
  add_probes(row, "paraphrase_prompts", "paraphrase", "", "test", false, fact);
  add_probes(row, "neighborhood_prompts", "neighbourhood", fact.target_true, "", false, fact);
  return fact;
}

}  // namespace

FactImporter retention_importer() {
  return {.name = "retention",
          .summary = "CounterFact flattened, as published with the retention study's code",
          .signature = {"prompt", "subject", "target_new", "paraphrase_prompts"},
          .options = {},
          .read = &read};
}

}  // namespace palimpsest::data
