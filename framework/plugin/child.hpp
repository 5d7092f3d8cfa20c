// A child process that tries something of a plugin's, so that whatever becomes of it does not happen to the host.
#pragma once

#include <string>
#include <vector>

namespace palimpsest::plugin {

// How a child ended, and what it wrote to its standard output and error; of much the end, some 16 KiB.
struct ChildEnd {
  int status = 0;         // as of waitpid
  bool too_slow = false;  // killed after `seconds`
  std::string said;
  // It left by itself with this exit status.
  bool exited_with(int code) const;
  // "the process was ended by signal 11 (Segmentation fault)", "the process ended with status 3", ...
  std::string how(int seconds) const;
  // Its last line; empty where it said nothing.
  std::string last_line() const;
};

// Runs the command with no input, and waits at most `seconds` of wall time for its end. Throws as spawn() does
// (base/process.hpp) when it cannot be started.
ChildEnd run_child(std::vector<std::string> words, int seconds);

}  // namespace palimpsest::plugin
