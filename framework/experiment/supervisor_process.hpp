// One spawned worker: its process group, its log, and the pipe on which it tells its progress.
//
// The object owns the process: when it goes, the whole group is killed and the worker is reaped. Used from one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/descriptor.hpp"
#include "base/progress.hpp"

namespace palimpsest::experiment {

// The environment variable in which a worker finds its supervisor's process id.
inline constexpr const char* kSupervisorVariable = "PALIMPSEST_SUPERVISOR_PID";

// How a worker ended: by itself with a status, or by a signal.
struct Ending {
  int status = 0;
  int signal = 0;  // 0: by itself
};

class WorkerProcess {
 public:
  // Starts a worker in a process group of its own: no input, both outputs to `log` (replaced), `environment`
  // laid over this process's, and OMP_WAIT_POLICY=passive where the user has not set it. Throws as spawn()
  // does (base/process.hpp) when it cannot be started, and Error(kIo) for its log.
  WorkerProcess(const std::vector<std::string>& argv,
                const std::vector<std::pair<std::string, std::string>>& environment, const std::filesystem::path& log);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t id() const { return pid_; }
  // To poll for reading; -1 after the worker closed it, which it does when it ends.
  int progress_descriptor() const { return progress_.get(); }
  // Hands on the whole lines that are there now; never waits.
  void read_progress(const std::function<void(const MachineLine&)>& sink);

  // To every process of the group.
  void send(int signal) const;
  // Its ending once it has ended; what it left running in its group is killed then. Never waits.
  std::optional<Ending> try_wait();

  // Resident memory of the worker and its descendants now, in MiB. Descendants are looked for when `with_children`.
  std::int64_t resident_mib(bool with_children) const;
  // The highest resident memory of the worker itself so far, in MiB; 0 once it has ended.
  std::int64_t peak_mib() const;

 private:
  pid_t pid_ = -1;
  Descriptor progress_;
  std::string unread_;
  std::optional<Ending> ending_;
};

// The last line of the file with something in it, at most 500 bytes, without a leading "error: "; "" if there is none.
std::string last_line(const std::filesystem::path& log);

}  // namespace palimpsest::experiment
