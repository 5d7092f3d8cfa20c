// Lists plugins, and describes one: its parameters, and a table for an experiment's file that is ready to paste.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <set>
#include <vector>

#include "app/commands.hpp"
#include "app/program.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "base/layout.hpp"
#include "base/text.hpp"
#include "config/experiment_schema.hpp"
#include "config/layers.hpp"
#include "experiment/catalog.hpp"

namespace palimpsest::app {
namespace {

using plugin::Plugin;

void print_list(const std::vector<Plugin>& plugins) {
  std::size_t kind = 4, id = 2, version = 7;
  for (const Plugin& p : plugins) {
    kind = std::max(kind, std::string_view(p.descriptor->kind).size());
    id = std::max(id, std::string_view(p.descriptor->id).size());
    version = std::max(version, std::string_view(p.descriptor->version).size());
  }
  const auto row = [&](std::string_view k, std::string_view i, std::string_view v, std::string_view s) {
    std::cout << std::left << std::setw(static_cast<int>(kind)) << k << "  " << std::setw(static_cast<int>(id)) << i
              << "  " << std::setw(static_cast<int>(version)) << v << "  " << s << '\n';
  };
  row("kind", "id", "version", "summary and file");
  for (const Plugin& p : plugins) {
    row(p.descriptor->kind, p.descriptor->id, p.descriptor->version, p.descriptor->summary);
    row("", "", "", p.library->path().string());
  }
}

void print_parameter(const config::KeySpec& key) {
  std::cout << "  " << key.name << ": " << config::name_of(key.type);
  if (const std::string range = config::allowed(key); !range.empty()) std::cout << ", " << range;
  if (config::is_layer(key)) {
    const bool one = key.type == config::Type::integer;
    std::cout << (one ? ", a layer: its number, a fraction of the depth, or \"auto\""
                      : ", layers: their numbers, fractions of the depth, or \"auto\" for all");
  } else if (!key.unit.empty()) {
    std::cout << ", in " << key.unit;
  }
  if (key.required) {
    std::cout << ", required";
  } else if (key.default_value) {
    std::cout << ", default " << config::inline_toml(*key.default_value);
  } else {
    std::cout << ", not set by default";
  }
  std::cout << '\n' << wrapped(key.doc, "      ", "      ");
}

// What may stand in a snippet for a key without default.
std::string example_of(const config::KeySpec& key) {
  if (!key.choices.empty()) return config::inline_toml({key.choices.front(), {}});
  const double least = key.min.value_or(0);
  switch (key.type) {
    case config::Type::boolean: return "false";
    case config::Type::integer: return cat(static_cast<std::int64_t>(least));
    case config::Type::number: return config::inline_toml({least, {}});
    case config::Type::path: return "\"path/to/a/file\"";
    case config::Type::integer_list:
    case config::Type::number_list:
    case config::Type::string_list: return "[]";
    default: return "\"\"";
  }
}

void print_snippet(const std::string& table, const config::PluginSpec& spec) {
  const bool repeated = config::experiment_table(table).repeated;
  std::cout << (repeated ? "[[" : "[") << table << (repeated ? "]]" : "]") << "\nid = \"" << spec.id << "\"\n";
  for (const config::KeySpec& key : spec.parameters) {
    if (!key.required) continue;
    std::cout << key.name << " = " << example_of(key) << "  # required\n";
  }
  for (const config::KeySpec& key : spec.parameters) {
    if (key.required) continue;
    std::cout << "# " << key.name << " = "
              << (key.default_value ? config::inline_toml(*key.default_value) : example_of(key)) << '\n';
  }
}

void describe(const Plugin& p) {
  const palimpsest_descriptor& d = *p.descriptor;
  const config::PluginSpec spec = experiment::spec_of(d);
  std::cout << d.kind << ' ' << d.id << ' ' << d.version << ": " << d.summary
            << "\nfile: " << p.library->path().string() << "\n\n";
  if (spec.parameters.empty()) {
    std::cout << "No parameters.\n\n";
  } else {
    std::cout << "Parameters:\n";
    for (const config::KeySpec& key : spec.parameters) print_parameter(key);
    std::cout << '\n';
  }
  std::cout << "In an experiment's file (what is commented out is the default):\n\n";
  print_snippet(std::string(experiment::table_of(d.kind)), spec);
}

}  // namespace

int plugins_command(const Arguments& arguments) {
  plugin::Registry registry(plugin_folders({}), host_build());
  const std::vector<Plugin> all = registry.all();
  for (const auto& refused : registry.refused()) std::cerr << "refused: " << refused.reason << '\n';
  if (arguments.positional.empty()) {
    print_list(all);
    return 0;
  }
  const std::string& id = arguments.positional.front();
  std::set<std::string> ids;
  bool found = false;
  for (const Plugin& p : all) {
    ids.insert(p.descriptor->id);
    if (p.descriptor->id != id) continue;
    if (found) std::cout << '\n';
    describe(p);
    found = true;
  }
  if (!found) {
    fail(ErrorCode::kNotFound, "no plugin \"", id, "\"", did_you_mean(id, ids),
         "; available: ", ids.empty() ? "none" : list_text(ids));
  }
  return 0;
}

}  // namespace palimpsest::app
