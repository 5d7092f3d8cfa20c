// What an experiment's commands work with, made for one configuration: plugins, their catalog, the stage store.
#pragma once

#include <filesystem>
#include <vector>

#include "config/document.hpp"
#include "experiment/catalog.hpp"
#include "experiment/plan.hpp"
#include "experiment/store.hpp"
#include "plugin/registry.hpp"

namespace palimpsest::app {

// Folders in which plugins are looked for: the program's own, `configured`, PALIMPSEST_PLUGIN_PATH (colon-separated).
std::vector<std::filesystem::path> plugin_folders(const std::vector<std::filesystem::path>& configured);

// Owns what its environment() points to.
class Setup {
 public:
  // Throws what Registry and Store throw.
  explicit Setup(const config::Document& document);
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;

  const experiment::Environment& environment() const { return environment_; }
  const experiment::Catalog& catalog() const { return catalog_; }

 private:
  plugin::Registry registry_;
  experiment::Catalog catalog_;
  experiment::Store store_;
  experiment::Environment environment_;
};

}  // namespace palimpsest::app
