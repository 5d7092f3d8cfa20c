// The host's own schema as data: the one place where each key of an experiment file has its type, range, default and
// meaning. docs/configuration.md is printed from it, the check reads it, and no default stands anywhere else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/schema.hpp"

namespace palimpsest::config {

// Keys outside every table: extends, plugin_path.
const std::vector<KeySpec>& top_level_keys();
// Every table but [sweep], in the order of the documentation.
const std::vector<TableSpec>& experiment_tables();
const TableSpec& experiment_table(std::string_view name);

// docs/configuration.md.
std::string markdown_reference();

}  // namespace palimpsest::config
