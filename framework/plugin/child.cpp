#include "plugin/child.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/descriptor.hpp"
#include "base/error.hpp"
#include "base/process.hpp"

namespace palimpsest::plugin {
namespace {

constexpr std::size_t kMostSaid = 16384;
constexpr int kTickMilliseconds = 100;

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

}  // namespace

bool ChildEnd::exited_with(int code) const { return !too_slow && WIFEXITED(status) && WEXITSTATUS(status) == code; }

std::string ChildEnd::how(int seconds) const {
  if (too_slow) return cat("it did not come back within ", seconds, " s");
  return describe_end(status);
}

std::string ChildEnd::last_line() const {
  const std::size_t end = said.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const std::size_t begin = said.rfind('\n', end);
  return begin == std::string::npos ? said.substr(0, end + 1) : said.substr(begin + 1, end - begin);
}

ChildEnd run_child(std::vector<std::string> words, int seconds) {
  Pipe pipe = make_pipe();
  ChildEnd end;
  const int output = pipe.writing.get();
  const pid_t child = spawn({.words = std::move(words), .no_input = true, .descriptors = {{output, 1}, {output, 2}}});
  pipe.writing.close();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  // A child that closed its output, or one whose own child holds it open, is still waited for.
  bool open = true;
  for (;;) {
    if (open) {
      open = listen(pipe.reading.get(), end.said) != Heard::kEnd;
    } else {
      ::poll(nullptr, 0, kTickMilliseconds / 10);
    }
    const pid_t ended = ::waitpid(child, &end.status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    if (std::chrono::steady_clock::now() >= deadline) {
      end.too_slow = true;
      ::kill(child, SIGKILL);
      end.status = wait_for(child);
      break;
    }
  }
  // What it wrote before it ended.
  while (open && !end.too_slow && listen(pipe.reading.get(), end.said) == Heard::kSomething) {
  }
  return end;
}

}  // namespace palimpsest::plugin
