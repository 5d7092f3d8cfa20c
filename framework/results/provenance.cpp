#include "results/provenance.hpp"

#include <string_view>

namespace palimpsest::results {
namespace {

constexpr std::string_view kPlugins = "/provenance/plugins";
constexpr std::string_view kDigests = "/provenance/digests";
constexpr std::string_view kLibraries = "/provenance/libraries";

Table pairs_table(std::string_view path, std::string definition, Column key, Column value,
                  const std::map<std::string, std::string>& pairs) {
  Table table{std::string(path), std::move(definition), {std::move(key), std::move(value)}};
  for (const auto& [name, text] : pairs) table.append_row({name, text});
  return table;
}

std::map<std::string, std::string> read_pairs(const Reader& reader, std::string_view path, std::string_view key,
                                              std::string_view value) {
  const Table table = reader.table(path);
  const auto& keys = table.values<std::string>(key);
  const auto& values = table.values<std::string>(value);
  std::map<std::string, std::string> pairs;
  for (std::size_t i = 0; i < keys.size(); ++i) pairs.emplace(keys[i], values[i]);
  return pairs;
}

}  // namespace

void write_provenance(Writer& writer, const Provenance& provenance) {
  writer.attribute("/", "resolved_toml", provenance.resolved_toml);
  writer.attribute("/", "seed", provenance.seed);
  writer.attribute("/", "git_commit", provenance.git_commit);
  for (const auto& [name, value] : provenance.settings) writer.attribute("/", name, value);

  Table plugins{std::string(kPlugins),
                "one plugin that took part",
                {text_column("kind", "kind of the plugin: editor, task, augmenter, freeze policy or metric"),
                 text_column("id", "id of the plugin"), text_column("version", "version that the plugin states"),
                 text_column("sha256", "SHA-256 of the plugin's file")}};
  for (const PluginRecord& plugin : provenance.plugins) {
    plugins.append_row({plugin.kind, plugin.id, plugin.version, plugin.sha256});
  }
  writer.table(plugins);
  writer.table(pairs_table(kDigests, "one input that the numbers depend on",
                           text_column("input", "what was read: model, tokenizer, facts, data set"),
                           text_column("sha256", "SHA-256 of its content"), provenance.digests));
  writer.table(pairs_table(kLibraries, "one library that took part", text_column("library", "name of the library"),
                           text_column("version", "version that was loaded"), provenance.libraries));
}

Provenance read_provenance(const Reader& reader) {
  Provenance provenance;
  provenance.resolved_toml = reader.attribute<std::string>("/", "resolved_toml");
  provenance.seed = reader.attribute<std::int64_t>("/", "seed");
  provenance.git_commit = reader.attribute<std::string>("/", "git_commit");
  for (auto& [name, value] : reader.attributes("/")) {
    if (name != "resolved_toml" && name != "seed" && name != "git_commit" && name != kSchemaAttribute) {
      provenance.settings.emplace(name, std::move(value));
    }
  }
  const Table plugins = reader.table(kPlugins);
  const auto& kinds = plugins.values<std::string>("kind");
  const auto& ids = plugins.values<std::string>("id");
  const auto& versions = plugins.values<std::string>("version");
  const auto& digests = plugins.values<std::string>("sha256");
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    provenance.plugins.push_back({kinds[i], ids[i], versions[i], digests[i]});
  }
  provenance.digests = read_pairs(reader, kDigests, "input", "sha256");
  provenance.libraries = read_pairs(reader, kLibraries, "library", "version");
  return provenance;
}

}  // namespace palimpsest::results
