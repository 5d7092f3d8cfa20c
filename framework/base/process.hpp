// Other programs, started and waited for.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace palimpsest {

// What to start, and how.
struct Command {
  // The program's path, or its name if it is to be looked for on PATH, and its arguments.
  std::vector<std::string> words;
  // Variables laid over this process's own.
  std::vector<std::pair<std::string, std::string>> environment = {};
  // Where it starts; empty: where this process stands.
  std::filesystem::path folder = {};
  // Its standard input is empty instead of this process's.
  bool no_input = false;
  // Open descriptors of ours, and the numbers under which it finds them, e.g. {pipe.writing.get(), 1}.
  std::vector<std::pair<int, int>> descriptors = {};
  // It leads a process group of its own, no signal is blocked or ignored, and it inherits no descriptor above the
  // highest of `descriptors` (with glibc before 2.34 only none that was opened with O_CLOEXEC).
  bool apart = false;
};

// Starts it and does not wait; its end is the caller's to wait for. Throws Error: kInvalidArgument (no words),
// kNotFound (no such program, folder or interpreter), kIo.
pid_t spawn(const Command& command);

// Waits for the end of a process that this one started. The status of waitpid(2); 0 where the system keeps none, as
// when SIGCHLD is ignored.
int wait_for(pid_t process) noexcept;

// Of such a status: what a shell says, the exit status or 128 + the signal.
int shell_status(int status);

// "the process was ended by signal 11 (Segmentation fault)" or "the process ended with status 3".
std::string describe_end(int status);

}  // namespace palimpsest
