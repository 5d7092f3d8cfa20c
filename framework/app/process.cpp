#include "app/process.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.hpp"

namespace palimpsest::app {

int run_program(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t child = 0;
  if (const int error = ::posix_spawnp(&child, words[0], nullptr, nullptr, words.data(), environ); error != 0) {
    fail(ErrorCode::kNotFound, command.front(), " could not be started: ", std::strerror(error));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail(ErrorCode::kInternal, "waiting for ", command.front(), ": ", std::strerror(errno));
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string python() {
  const char* given = std::getenv("PALIMPSEST_PYTHON");
  if (given != nullptr && *given != '\0') return given;
  const std::string built_with = PALIMPSEST_PYTHON_PROGRAM;
  return std::filesystem::exists(built_with) ? built_with : "python3";
}

}  // namespace palimpsest::app
