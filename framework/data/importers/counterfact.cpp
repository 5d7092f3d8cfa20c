// Full CounterFact (Meng et al. 2022): a JSON array, or one object a line.
//
// case_id, requested_rewrite {prompt, relation_id, target_new {str}, target_true {str}, subject}, paraphrase_prompts
// (test probes), neighborhood_prompts (probes that expect target_true). attribute_prompts and generation_prompts are
// not needed.
#include "data/fact_importer.hpp"
#include "data/importers/common.hpp"

namespace palimpsest::data {
namespace {

Fact read(const RowReader& row, const std::map<std::string, std::string>&, std::vector<std::string>&) {
  Fact fact;
  fact.id = row.text_or_integer("case_id");
  if (const auto rewrite = row.object("requested_rewrite")) {
    fact.relation = trimmed_text(*rewrite, "relation_id");
    fact.subject = trimmed_text(*rewrite, "subject");
    fact.prompt = trimmed_text(*rewrite, "prompt");
    if (const auto target = rewrite->object("target_new")) fact.target_new = trimmed_text(*target, "str");
    if (const auto target = rewrite->object("target_true")) fact.target_true = trimmed_text(*target, "str");
  }
  add_probes(row, "paraphrase_prompts", "paraphrase", "", "test", false, fact);
  add_probes(row, "neighborhood_prompts", "neighbourhood", fact.target_true, "", false, fact);
  return fact;
}

}  // namespace

FactImporter counterfact_importer() {
  return {.name = "counterfact",
          .summary = "CounterFact as its authors publish it (requested_rewrite)",
          .signature = {"case_id", "requested_rewrite"},
          .options = {},
          .read = &read};
}

}  // namespace palimpsest::data
