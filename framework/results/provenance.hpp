// Where a results file comes from: all that its numbers depend on, and nothing that changes from run to run. Times,
// host names and paths belong in the timing sidecar, never here: two equal runs give equal files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "results/reader.hpp"
#include "results/writer.hpp"

namespace palimpsest::results {

struct PluginRecord {
  std::string kind, id, version;
  std::string sha256;  // of the plugin's file
  bool operator==(const PluginRecord&) const = default;
};

struct Provenance {
  std::string resolved_toml;  // the experiment after extends, --set and sweep, with every default
  std::int64_t seed = 0;
  std::string git_commit;                        // "" outside a checkout
  std::vector<PluginRecord> plugins;             // in the order given
  std::map<std::string, std::string> digests;    // what (model, tokenizer, facts, data, ...) -> sha256
  std::map<std::string, std::string> libraries;  // library -> version
  std::map<std::string, Attribute> settings;     // dtype, device, threads, CPU capability, ...
  bool operator==(const Provenance&) const = default;
};

// Root attributes `resolved_toml`, `seed`, `git_commit` and the settings under their own names; tables
// /provenance/plugins, /provenance/digests, /provenance/libraries. Throws as Writer does.
void write_provenance(Writer& writer, const Provenance& provenance);

// The inverse. Root attributes that are neither of the three nor the schema are settings. Throws as Reader does.
Provenance read_provenance(const Reader& reader);

}  // namespace palimpsest::results
