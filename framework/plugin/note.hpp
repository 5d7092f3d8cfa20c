// What a plugin library says of itself before anything of it runs: its ELF note, read from the file's bytes alone.
//
// Reading checks that the file is a whole ELF shared object first: a library cut in half would raise SIGBUS when
// mapped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace palimpsest::plugin {

struct PluginName {
  std::string kind;  // "editor", ...
  std::string id;
  friend bool operator==(const PluginName&, const PluginName&) = default;
};

// The note's lines (framework/abi/palimpsest/entry.h).
struct Note {
  int abi_major = 0, abi_minor = 0;
  std::string tier;   // "none", "stable" or "locked"
  std::string torch;  // none: ""; stable: least version; locked: build tag
  std::string compiler;
  std::vector<PluginName> plugins;
};

// Throws Error, each message naming the file: kIo (not a regular file, not readable), kCorrupt (not ELF, or cut short),
// kUnsupported (another machine or word size), kInvalidArgument (no note, or one that cannot be read).
Note read_note(const std::filesystem::path& library);
// The same of a file's bytes, which may be anything; messages begin with `name`.
Note read_note(std::span<const std::byte> bytes, const std::string& name);

}  // namespace palimpsest::plugin
