#include "experiment/supervisor_worker.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "experiment/supervisor_process.hpp"

namespace palimpsest::experiment {
namespace {

std::atomic<bool> asked_to_stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

void on_stop(int /*signal*/) { asked_to_stop.store(true); }

}  // namespace

void die_with_parent(pid_t expected) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(ErrorCode::kInternal, "PR_SET_PDEATHSIG was refused");
  // The parent may have died before the call: then nobody would send the signal.
  if (::getppid() != expected) ::raise(SIGKILL);
}

void enter_worker() {
  const char* text = std::getenv(kSupervisorVariable);
  const std::string_view view = text == nullptr ? "" : text;
  pid_t parent = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), parent);
  if (error != std::errc() || end != view.data() + view.size() || parent <= 0) {
    fail(ErrorCode::kInvalidArgument, "`worker` is started by `run`, not by hand (", kSupervisorVariable,
         " is not set)");
  }
  ::signal(SIGPIPE, SIG_IGN);
  // A file that may not grow further is then an error of its write, which names the file.
  ::signal(SIGXFSZ, SIG_IGN);
  die_with_parent(parent);
}

void heed_stop_requests() {
  struct sigaction action{};
  action.sa_handler = on_stop;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() { return asked_to_stop.load(); }

FileLock node_lock(const std::filesystem::path& folder, std::string_view id) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(ErrorCode::kIo, "cannot create folder ", folder.string(), ": ", error.message());
  return FileLock(folder / cat(id, ".lock"));
}

}  // namespace palimpsest::experiment
