// A plugin library: checked from the outside in, then loaded, never unloaded.
//
// Order of the checks, each failure its own message with file, found and expected: regular file, whole ELF, note, ABI,
// tier and libtorch, loading in a child process, loading here, symbol, magic, symbol against note, descriptors.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "palimpsest/entry.h"
#include "plugin/note.hpp"

namespace palimpsest::plugin {

// The host that libraries are loaded into.
struct HostBuild {
  std::string torch_tag;      // of the libtorch running; "" when there is none
  std::string torch_version;  // e.g. "2.13.0"
  // The command that loads a library in a child process: the path of the library is appended. Empty: no child process
  // (only for the child itself).
  std::vector<std::string> probe_command;
  // How long a child may take. A library that waits for something while it is loaded would else stop every command.
  int probe_seconds = 60;
  // Where results of probing are kept, by sha256 of the library and the host's tag; empty: nowhere.
  std::filesystem::path probe_cache = {};
};

class Library {
 public:
  // Throws Error naming the file.
  static std::shared_ptr<const Library> open(const std::filesystem::path& path, const HostBuild& host);

  const std::filesystem::path& path() const { return path_; }
  const std::string& sha256() const { return sha256_; }
  const Note& note() const { return note_; }
  const std::vector<const palimpsest_descriptor*>& descriptors() const { return descriptors_; }

 private:
  std::filesystem::path path_;
  std::string sha256_;
  Note note_;
  std::vector<const palimpsest_descriptor*> descriptors_;
};

// The child's side of probing: loads the library, checks everything, returns the exit status; the message goes to
// stderr.
int probe_library(const std::filesystem::path& path, const HostBuild& host);

// Throws Error(kInvalidArgument) with `where` and what is malformed; part of open(), separate for its tests.
void check_descriptor(const palimpsest_descriptor* descriptor, const std::string& where);

}  // namespace palimpsest::plugin
