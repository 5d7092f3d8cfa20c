// A child process of the helper program, killed with its object.
#pragma once

#include <fcntl.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/descriptor.hpp"
#include "base/process.hpp"

namespace palimpsest::experiment {

class Child {
 public:
  // EXPERIMENT_HELPER with these arguments; its outputs go to `output`.
  Child(std::vector<std::string> arguments, const std::filesystem::path& output) {
    arguments.insert(arguments.begin(), EXPERIMENT_HELPER);
    const Descriptor file(output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    pid_ = spawn({.words = arguments, .descriptors = {{file.get(), 1}, {file.get(), 2}}});
  }
  ~Child() {
    if (pid_ > 0) {
      send(SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void send(int signal) const { ::kill(pid_, signal); }
  // The exit status, or 128 + the signal.
  int wait() { return shell_status(wait_for(std::exchange(pid_, -1))); }
  pid_t id() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

}  // namespace palimpsest::experiment
