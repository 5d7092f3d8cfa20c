#include <cstdlib>

#include "base/files.hpp"
#include "config/experiment_schema.hpp"
#include "support.hpp"

namespace palimpsest::config {
namespace {

const std::filesystem::path kDocs = std::filesystem::path(PALIMPSEST_SOURCE_DIR) / "docs/configuration.md";

TEST(Reference, DocsAreCurrent) {
  if (std::getenv("PALIMPSEST_UPDATE_DOCS")) write_file_atomically(kDocs, markdown_reference());
  EXPECT_EQ(read_file(kDocs), markdown_reference()) << "docs/configuration.md is not what the schema says; run this "
                                                       "test with PALIMPSEST_UPDATE_DOCS=1 and commit the file";
}

TEST(Reference, ExampleIsAnExperiment) {
  const std::string text = markdown_reference();
  const auto start = text.find("```toml\n") + 8;
  const std::string example = text.substr(start, text.find("```", start) - start);
  const testing::Folder folder;
  folder.write("base.toml", "");
  const auto file = folder.write("freezing.toml", example);
  const testing::FakeCatalog catalog;
  const Locations locations{folder.path(), folder.path(), folder.path()};
  const Expansion expansion = expand_all(load_document(file), catalog, locations, false);
  EXPECT_EQ(text_of(expansion.problems), "");
  std::vector<std::string> names;
  for (const Cell& cell : expansion.cells) names.push_back(cell.name);
  EXPECT_EQ(names.size(), 12u);
  EXPECT_THAT(names, ::testing::Contains("frozen,weight_decay=0.01,r1"));
}

TEST(Reference, EveryKeyIsDocumented) {
  for (const TableSpec& table : experiment_tables()) {
    EXPECT_GT(table.doc.size(), 20u) << table.name;
    for (const KeySpec& key : table.keys) {
      EXPECT_GT(key.doc.size(), 10u) << table.name << "." << key.name;
      EXPECT_TRUE(key.doc.ends_with('.')) << table.name << "." << key.name;
      EXPECT_TRUE(key.required || key.default_value || !key.choices.empty()) << table.name << "." << key.name;
    }
  }
}

// A default that its own spec refuses could never be written down in a file.
TEST(Reference, DefaultsAreValid) {
  const Locations locations{"/", "/", "/"};
  for (const TableSpec& table : experiment_tables()) {
    Table defaults;
    for (const KeySpec& key : table.keys) {
      if (key.default_value) defaults.set(key.name, *key.default_value);
    }
    std::vector<KeySpec> keys = table.keys;
    for (KeySpec& key : keys) key.required = false;
    Check check{locations, false, {}, {}, {}};
    check_table(defaults, {}, table.name, keys, check);
    EXPECT_EQ(text_of(check.problems), "");
  }
}

}  // namespace
}  // namespace palimpsest::config
