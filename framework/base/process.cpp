#include "base/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/descriptor.hpp"
#include "base/error.hpp"

namespace palimpsest {
namespace {

// The attributes and file actions of posix_spawn, freed on every way out.
class Settings {
 public:
  Settings() {
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_init(&actions_);
  }
  ~Settings() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;
  posix_spawnattr_t* attributes() { return &attributes_; }
  posix_spawn_file_actions_t* actions() { return &actions_; }

 private:
  posix_spawnattr_t attributes_{};
  posix_spawn_file_actions_t actions_{};
};

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> merged;
  const auto is_replaced = [&](std::string_view entry) {
    return std::any_of(added.begin(), added.end(), [&](const auto& one) {
      return entry.size() > one.first.size() && entry[one.first.size()] == '=' && entry.starts_with(one.first);
    });
  };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!is_replaced(*entry)) merged.emplace_back(*entry);
  }
  for (const auto& [name, value] : added) merged.push_back(cat(name, "=", value));
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (auto& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

void set_apart(Settings& settings) {
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(settings.attributes(), &none);
  ::posix_spawnattr_setsigdefault(settings.attributes(), &all);
  ::posix_spawnattr_setpgroup(settings.attributes(), 0);
  ::posix_spawnattr_setflags(settings.attributes(),
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

}  // namespace

pid_t spawn(const Command& command) {
  if (command.words.empty()) fail(ErrorCode::kInvalidArgument, "there is no command to start");
  Settings settings;
  if (command.no_input) ::posix_spawn_file_actions_addopen(settings.actions(), 0, "/dev/null", O_RDONLY, 0);
  int highest = 2;
  for (const auto& [ours, theirs] : command.descriptors) highest = std::max(highest, theirs);
  // Handed over from above all of these numbers, so that none of ours stands where another is to go.
  std::vector<Descriptor> copies;
  for (const auto& [ours, theirs] : command.descriptors) {
    copies.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, highest + 1));
    if (!copies.back().is_open()) {
      fail(ErrorCode::kIo, "cannot hand descriptor ", ours, " to ", command.words[0], ": ", std::strerror(errno));
    }
    ::posix_spawn_file_actions_adddup2(settings.actions(), copies.back().get(), theirs);
  }
  if (command.apart) {
    set_apart(settings);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    // Whatever a library of ours opened without O_CLOEXEC stays here.
    ::posix_spawn_file_actions_addclosefrom_np(settings.actions(), highest + 1);
#endif
  }
  if (!command.folder.empty()) ::posix_spawn_file_actions_addchdir_np(settings.actions(), command.folder.c_str());

  auto words = command.words;
  auto variables = environment_with(command.environment);
  pid_t process = 0;
  const int problem = ::posix_spawnp(&process, words[0].c_str(), settings.actions(), settings.attributes(),
                                     pointers(words).data(), pointers(variables).data());
  if (problem != 0) {
    fail(problem == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot start ", command.words[0], ": ",
         std::strerror(problem));
  }
  return process;
}

int wait_for(pid_t process) noexcept {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

int shell_status(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) {
    return cat("the process was ended by signal ", WTERMSIG(status), " (", ::strsignal(WTERMSIG(status)), ")");
  }
  return cat("the process ended with status ", WEXITSTATUS(status));
}

}  // namespace palimpsest
