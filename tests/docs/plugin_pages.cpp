// docs/plugins/: one page a plugin, written from its descriptor, so that it cannot disagree with the program.
//
//   plugin_pages PLUGIN_FOLDER SOURCE_FOLDER          writes docs/plugins/ of the source tree anew
//   plugin_pages PLUGIN_FOLDER SOURCE_FOLDER --check  writes nothing; says which pages are not current, status 1
#include <filesystem>
#include <iostream>
#include <map>
#include <string>

#include "base/error.hpp"
#include "base/files.hpp"
#include "experiment/catalog.hpp"
#include "experiment/keys.hpp"
#include "plugin/registry.hpp"

namespace palimpsest {
namespace {
namespace fs = std::filesystem;

constexpr const char* kMark =
    "<!-- Written from the plugin's descriptor: do not edit. To update: CONTRIBUTING.md, \"A new plugin\". -->\n";

// "|" ends a cell of a table.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string default_of(const config::KeySpec& key) {
  if (key.required) return "*required*";
  if (!key.default_value) return "not set";
  return cat("`", config::inline_toml(*key.default_value), "`");
}

std::string page_of(const palimpsest_descriptor& d, const fs::path& folder) {
  const config::PluginSpec spec = experiment::spec_of(d);
  const std::string table(experiment::table_of(d.kind));
  std::string out = cat("# ", d.kind, " `", d.id, "`\n\n", kMark, "\n", d.summary, " Version ", d.version, ".\n");
  if (!folder.empty()) {
    out += cat("What it computes, by which equations: [README](../../", folder.generic_string(), "/README.md).\n");
  }
  out += cat("\nChosen by `id = \"", d.id, "\"` in the table `",
             table == "metric" ? "[[metric]]" : cat("[", table, "]"), "` of an experiment.\n");
  if (spec.parameters.empty()) return out + "It has no parameters.\n";
  out += "\n| parameter | type | default | allowed | unit | meaning |\n|---|---|---|---|---|---|\n";
  for (const auto& key : spec.parameters) {
    const std::string range = config::allowed(key);
    out += cat("| `", key.name, "` | ", config::name_of(key.type), " | ", cell(default_of(key)), " | ",
               key.choices.empty() ? range : cat("`", cell(range), "`"), " | ", key.unit, " | ", cell(key.doc), " |\n");
  }
  return out;
}

std::string index_of(const std::map<std::string, std::map<std::string, std::string>>& summaries) {
  std::string out = cat(
      "# Plugins\n\n", kMark,
      "\nEvery plugin that comes with the program, with its parameters. `palimpsest plugins ID` prints the same, also "
      "of your\nown plugins where they are installed or `PALIMPSEST_PLUGIN_PATH` names their folder. Writing one:\n"
      "[writing-a-plugin.md](../writing-a-plugin.md).\n");
  for (const auto& [kind, plugins] : summaries) {
    out += cat("\n## ", kind, "\n\n| id | what |\n|---|---|\n");
    for (const auto& [id, summary] : plugins) {
      out += cat("| [`", id, "`](", kind, ".", id, ".md) | ", cell(summary), " |\n");
    }
  }
  return out;
}

// The folder below plugins/ that a plugin's README lies in, or "".
fs::path folder_of(const fs::path& source, const std::string& id, std::string_view kind) {
  const std::map<std::string_view, const char*> folders = {{PALIMPSEST_KIND_EDITOR, "editors"},
                                                           {PALIMPSEST_KIND_FINETUNE_TASK, "tasks"},
                                                           {PALIMPSEST_KIND_AUGMENTER, "augmenters"},
                                                           {PALIMPSEST_KIND_FREEZE_POLICY, "freeze_policies"},
                                                           {PALIMPSEST_KIND_METRIC, "metrics"}};
  const fs::path folder = fs::path("plugins") / folders.at(kind) / id;
  return fs::exists(source / folder / "README.md") ? folder : fs::path();
}

int write_pages(const fs::path& plugins, const fs::path& source, bool check) {
  plugin::HostBuild host;
  host.torch_tag = PALIMPSEST_TORCH_TAG;
  host.torch_version = experiment::machine().torch_version;
  plugin::Registry registry({plugins}, host);
  std::map<std::string, std::string> pages;
  std::map<std::string, std::map<std::string, std::string>> summaries;
  for (const auto& p : registry.all()) {
    const auto& d = *p.descriptor;
    pages[cat(d.kind, ".", d.id, ".md")] = page_of(d, folder_of(source, d.id, d.kind));
    summaries[d.kind][d.id] = d.summary;
  }
  for (const auto& refused : registry.refused()) fail(ErrorCode::kInvalidArgument, refused.reason);
  if (pages.size() < 5) fail(ErrorCode::kNotFound, plugins.string(), " holds ", pages.size(), " plugins; is it built?");
  pages["README.md"] = index_of(summaries);

  const fs::path folder = source / "docs" / "plugins";
  int wrong = 0;
  const auto tell = [&](const std::string& name, const char* what) {
    ++wrong;
    std::cout << "docs/plugins/" << name << ' ' << what << '\n';
  };
  for (const auto& [name, text] : pages) {
    const bool there = fs::exists(folder / name);
    if (there && read_file(folder / name) == text) continue;
    tell(name, there ? "is not what the plugin says" : "is missing");
    if (!check) write_file_atomically(folder / name, text);
  }
  if (fs::exists(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (pages.contains(name)) continue;
      tell(name, "belongs to no plugin");
      if (!check) fs::remove(entry.path());
    }
  }
  if (!check) {
    std::cout << pages.size() << " pages, " << wrong << " changed\n";
    return 0;
  }
  if (wrong > 0) std::cout << "Write them anew: ninja plugin_docs in the build folder\n";
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace palimpsest

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4 || (argc == 4 && std::string(argv[3]) != "--check")) {
    std::cerr << "usage: plugin_pages PLUGIN_FOLDER SOURCE_FOLDER [--check]\n";
    return 2;
  }
  try {
    return palimpsest::write_pages(argv[1], argv[2], argc == 4);
  } catch (const palimpsest::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
