// Where configuration and plugins meet: descriptors as specs that a configuration is checked against, and resolved
// values as parameters that an instance is made of.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/experiment.hpp"
#include "config/schema.hpp"
#include "plugin/instance.hpp"
#include "plugin/registry.hpp"

namespace palimpsest::experiment {

// The ABI's name of the kind that a configuration's table chooses: "task" -> "finetune-task", "freeze_policy" ->
// "freeze-policy", others as they are; and the way back.
std::string_view abi_kind(std::string_view table);
std::string_view table_of(std::string_view abi_kind);

// A descriptor's parameter table as keys of a configuration.
config::PluginSpec spec_of(const palimpsest_descriptor& descriptor);

// The registry as a catalog. A plugin is loaded when it is asked for; one that cannot be loaded counts as absent, and
// its reason stands in problems().
class Catalog : public config::PluginCatalog {
 public:
  explicit Catalog(plugin::Registry& registry) : registry_(&registry) {}
  const config::PluginSpec* find(std::string_view kind, std::string_view id) const override;
  std::vector<std::string> available(std::string_view kind) const override;
  config::ModelShape model_shape(const std::filesystem::path& folder) const override;
  // Why plugins that were asked for by a known name could not be loaded; and, when a name was unknown, what was refused
  // before its names could be read.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  plugin::Registry* registry_;
  mutable std::map<std::string, config::PluginSpec> specs_;
  mutable std::vector<std::string> problems_;
  mutable std::map<std::filesystem::path, config::ModelShape> shapes_;
};

// The parameters of a choice for Instance.
std::vector<plugin::ParameterValue> parameter_values(const config::PluginChoice& choice);

}  // namespace palimpsest::experiment
