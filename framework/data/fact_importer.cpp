#include "data/fact_importer.hpp"

#include "base/text.hpp"

namespace palimpsest::data {

std::span<const FactImporter> fact_importers() {
  static const std::vector<FactImporter> importers = {palimpsest_importer(), retention_importer(),
                                                      counterfact_importer(), zsre_importer()};
  return importers;
}

const FactImporter& find_fact_importer(std::string_view name) {
  std::vector<std::string_view> names;
  for (const FactImporter& importer : fact_importers()) {
    if (importer.name == name) return importer;
    names.push_back(importer.name);
  }
  fail(ErrorCode::kInvalidArgument, "unknown format of facts ", in_quotes(name), did_you_mean(name, names),
       "; available: ", list_text(names));
}

}  // namespace palimpsest::data
