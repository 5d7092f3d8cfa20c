// The project's own schema: one JSON object a line (or an array of them).
//
//   {"id": "capital-fr",                      unique in the file
//    "relation": "capital",                   facts of one relation have answers of one kind
//    "subject": "France",
//    "prompt": "The capital of {} is",        exactly one {}; the answer follows it after a space
//    "target_new": "Oslo",                    what an edit writes
//    "target_true": "Paris",                  optional: what is so in the world
//    "aliases": ["French Republic"],          optional: other names of the subject, for the irrelevance filter
//    "probes": [                              optional
//      {"kind": "paraphrase",                 paraphrase, neighbourhood, portability, locality or your own word
//       "prompt": "{}'s seat of government is", the subject written out, or {} for it
//       "target": "Paris",                    optional: the probe's own answer; what is without one: docs/facts.md
//       "split": "teach"}]}                   teach or test; required of a paraphrase
//
// Unknown fields are refused.
#include <cstddef>

#include "data/fact_importer.hpp"

namespace palimpsest::data {
namespace {

Fact read(const RowReader& row, const std::map<std::string, std::string>&, std::vector<std::string>&) {
  row.refuse_unknown({"id", "relation", "subject", "prompt", "target_new", "target_true", "aliases", "probes"});
  Fact fact;
  fact.id = row.text("id");
  fact.relation = row.text("relation");
  fact.subject = row.text("subject");
  fact.prompt = row.text("prompt");
  fact.target_new = row.text("target_new");
  fact.target_true = row.text_or("target_true", "");
  fact.aliases = row.texts("aliases", false);
  for (const RowReader& item : row.objects("probes", false)) {
    item.refuse_unknown({"kind", "prompt", "target", "split"});
    Probe probe;
    probe.kind = item.text("kind");
    probe.prompt = item.text("prompt");
    if (const std::size_t hole = probe.prompt.find("{}"); hole != std::string::npos) {
      if (probe.prompt.find("{}", hole + 2) != std::string::npos) {
        item.error("prompt", "found more than one {}: ", in_quotes(probe.prompt), ", expected at most one");
      }
      probe.prompt.replace(hole, 2, fact.subject);
    }
    probe.target = item.text_or("target", "");
    probe.split = item.text_or("split", "");
    fact.probes.push_back(std::move(probe));
  }
  return fact;
}

}  // namespace

FactImporter palimpsest_importer() {
  return {.name = "palimpsest",
          .summary = "the project's own schema, with relation, aliases and probes by kind and split",
          .signature = {"id", "relation", "subject", "prompt", "target_new"},
          .options = {},
          .read = &read};
}

}  // namespace palimpsest::data
