#include "plugin/registry.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <system_error>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::plugin {
namespace {

void refuse_if_everybody_writes(const std::filesystem::path& path, std::string_view what) {
  struct stat status{};
  // The sticky bit keeps others from removing what is there, not from adding a library of their own.
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & S_IWOTH) != 0) {
    fail(ErrorCode::kInvalidArgument, "the plugin ", what, " ", path.string(),
         " can be written by everybody on this machine; take that permission away (chmod o-w)");
  }
}

}  // namespace

Registry::Registry(const std::vector<std::filesystem::path>& folders, HostBuild host) : host_(std::move(host)) {
  std::map<std::pair<std::string, std::string>, std::filesystem::path> owners;
  for (const auto& folder : folders) {
    if (!std::filesystem::is_directory(folder)) {
      fail(ErrorCode::kNotFound, "the plugin folder ", folder.string(),
           std::filesystem::exists(folder) ? " is not a folder" : " does not exist",
           "; build the plugin that belongs there, or correct the path (plugin_path, PALIMPSEST_PLUGIN_PATH)");
    }
    refuse_if_everybody_writes(folder, "folder");
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".so")
        files.push_back(std::filesystem::absolute(entry.path()).lexically_normal());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      try {
        refuse_if_everybody_writes(file, "library");
        // A link counts by where it leads.
        std::error_code dangling;
        const auto target = std::filesystem::canonical(file, dangling);
        if (!dangling) refuse_if_everybody_writes(target.parent_path(), "folder");
        Note note = read_note(file);
        for (const auto& plugin : note.plugins) {
          const auto owner = owners.find({plugin.kind, plugin.id});
          if (owner != owners.end() && owner->second != file) {
            fail(ErrorCode::kInvalidArgument, "two libraries have a plugin of kind ", plugin.kind, " with the id \"",
                 plugin.id, "\": ", owner->second.string(), " and ", file.string(),
                 "; the first one is used, remove one");
          }
        }
        // Only now: a library that is refused owns nothing.
        for (const auto& plugin : note.plugins) owners.try_emplace({plugin.kind, plugin.id}, file);
        const bool known =
            std::any_of(candidates_.begin(), candidates_.end(), [&](const auto& c) { return c.path == file; });
        if (!known) candidates_.push_back({file, std::move(note), nullptr});
      } catch (const Error& error) {
        refused_.push_back({file, error.what()});
      }
    }
  }
}

const Library& Registry::load(Candidate& candidate) {
  if (!candidate.library) candidate.library = Library::open(candidate.path, host_);
  return *candidate.library;
}

Plugin Registry::find(std::string_view kind, std::string_view id) {
  for (auto& candidate : candidates_) {
    const auto& names = candidate.note.plugins;
    const auto wanted = [&](const PluginName& name) { return name.kind == kind && name.id == id; };
    if (std::none_of(names.begin(), names.end(), wanted)) continue;
    for (const auto* descriptor : load(candidate).descriptors()) {
      if (descriptor->kind == kind && descriptor->id == id) return {candidate.library, descriptor};
    }
  }
  const auto available = ids(kind);
  std::string message = cat("no ", kind, " plugin \"", id, "\"", did_you_mean(id, available),
                            "; available: ", available.empty() ? "none" : list_text(available));
  for (const auto& refused : refused_) message += cat("; refused: ", refused.reason);
  throw Error(ErrorCode::kNotFound, message);
}

std::vector<std::string> Registry::ids(std::string_view kind) const {
  std::vector<std::string> found;
  for (const auto& candidate : candidates_) {
    for (const auto& plugin : candidate.note.plugins) {
      if (plugin.kind == kind) found.push_back(plugin.id);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Plugin> Registry::all() {
  std::vector<Plugin> plugins;
  for (auto& candidate : candidates_) {
    try {
      for (const auto* descriptor : load(candidate).descriptors()) plugins.push_back({candidate.library, descriptor});
    } catch (const Error& error) {
      const auto same = [&](const Refused& r) { return r.path == candidate.path; };
      if (std::none_of(refused_.begin(), refused_.end(), same)) refused_.push_back({candidate.path, error.what()});
    }
  }
  std::sort(plugins.begin(), plugins.end(), [](const Plugin& a, const Plugin& b) {
    return std::make_pair(std::string_view(a.descriptor->kind), std::string_view(a.descriptor->id)) <
           std::make_pair(std::string_view(b.descriptor->kind), std::string_view(b.descriptor->id));
  });
  return plugins;
}

}  // namespace palimpsest::plugin
