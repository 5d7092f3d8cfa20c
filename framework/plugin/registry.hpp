// The plugins that can be used: found in named folders only, known by their notes, loaded when asked for.
//
// Not thread-safe; one registry per process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/library.hpp"

namespace palimpsest::plugin {

// A plugin of a loaded library. The descriptor lives as long as the process.
struct Plugin {
  std::shared_ptr<const Library> library;  // null: a class under test, linked into the test (palimpsest::testing)
  const palimpsest_descriptor* descriptor = nullptr;
};

// A file that looks like a library and was refused.
struct Refused {
  std::filesystem::path path;
  std::string reason;
};

class Registry {
 public:
  // Reads the notes of every *.so directly in the folders, in the order given; nothing is loaded yet. A folder that
  // does not exist is an error, as is a folder or library that everybody may write to. Two libraries with a plugin of
  // one kind and id: an error naming both.
  Registry(const std::vector<std::filesystem::path>& folders, HostBuild host);

  // Loads the plugin's library if it is not yet loaded. Throws Error: kNotFound with "did you mean" and what is
  // available; what Library::open throws.
  Plugin find(std::string_view kind, std::string_view id);

  // Ids of a kind, sorted; from the notes, without loading.
  std::vector<std::string> ids(std::string_view kind) const;
  // Loads everything that can be loaded, sorted by kind and id; what cannot is added to refused().
  std::vector<Plugin> all();
  const std::vector<Refused>& refused() const { return refused_; }

 private:
  struct Candidate {
    std::filesystem::path path;
    Note note;
    std::shared_ptr<const Library> library;
  };
  const Library& load(Candidate& candidate);

  HostBuild host_;
  std::vector<Candidate> candidates_;
  std::vector<Refused> refused_;
};

}  // namespace palimpsest::plugin
