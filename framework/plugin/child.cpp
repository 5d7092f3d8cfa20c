#include "plugin/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "base/error.hpp"

namespace palimpsest::plugin {
namespace {

constexpr std::size_t kMostSaid = 16384;
constexpr int kTickMilliseconds = 100;

pid_t start(std::vector<std::string>& words, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, output, 2);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(ErrorCode::kIo, "cannot start ", words[0], ": ", std::strerror(error));
  return child;
}

enum class Heard { kNothing, kSomething, kEnd };

// One tick: reads what is there, and keeps the end of what was said.
Heard listen(int input, std::string& said) {
  pollfd waiting{input, POLLIN, 0};
  if (::poll(&waiting, 1, kTickMilliseconds) <= 0) return Heard::kNothing;
  char buffer[4096];
  const ssize_t got = ::read(input, buffer, sizeof buffer);
  if (got < 0 && errno == EINTR) return Heard::kNothing;
  if (got <= 0) return Heard::kEnd;
  said.append(buffer, static_cast<std::size_t>(got));
  if (said.size() > 2 * kMostSaid) said.erase(0, said.size() - kMostSaid);
  return Heard::kSomething;
}

// The two ends of a pipe, closed at the latest at the end.
struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) fail(ErrorCode::kIo, "cannot make a pipe: ", std::strerror(errno));
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close(int which) {
    if (ends[which] >= 0) ::close(ends[which]);
    ends[which] = -1;
  }
};

}  // namespace

bool ChildEnd::exited_with(int code) const { return !too_slow && WIFEXITED(status) && WEXITSTATUS(status) == code; }

std::string ChildEnd::how(int seconds) const {
  if (too_slow) return cat("it did not come back within ", seconds, " s");
  if (WIFSIGNALED(status)) {
    return cat("it ended the process with signal ", WTERMSIG(status), " (", ::strsignal(WTERMSIG(status)), ")");
  }
  return cat("the process ended with status ", WEXITSTATUS(status));
}

std::string ChildEnd::last_line() const {
  const std::size_t end = said.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const std::size_t begin = said.rfind('\n', end);
  return begin == std::string::npos ? said.substr(0, end + 1) : said.substr(begin + 1, end - begin);
}

ChildEnd run_child(std::vector<std::string> words, int seconds) {
  Pipe pipe;
  ChildEnd end;
  const pid_t child = start(words, pipe.ends[1]);
  pipe.close(1);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  // A child that closed its output, or one whose own child holds it open, is still waited for.
  bool open = true;
  for (;;) {
    if (open) {
      open = listen(pipe.ends[0], end.said) != Heard::kEnd;
    } else {
      ::poll(nullptr, 0, kTickMilliseconds / 10);
    }
    const pid_t ended = ::waitpid(child, &end.status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    if (std::chrono::steady_clock::now() >= deadline) {
      end.too_slow = true;
      ::kill(child, SIGKILL);
      while (::waitpid(child, &end.status, 0) < 0 && errno == EINTR) {
      }
      break;
    }
  }
  // What it wrote before it ended.
  while (open && !end.too_slow && listen(pipe.ends[0], end.said) == Heard::kSomething) {
  }
  return end;
}

}  // namespace palimpsest::plugin
