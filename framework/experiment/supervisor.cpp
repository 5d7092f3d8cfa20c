#include "experiment/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>

#include "base/descriptor.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "experiment/supervisor_process.hpp"

namespace palimpsest::experiment {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTickMilliseconds = 100;
// Looking through all processes for a worker's descendants is slow on a busy machine.
constexpr auto kGroupScanInterval = std::chrono::seconds(2);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::atomic<int> signal_pipe{-1};

void on_signal(int signal) {
  const int saved = errno;
  const auto byte = static_cast<char>(signal);
  static_cast<void>(!::write(signal_pipe.load(), &byte, 1));
  errno = saved;
}

// SIGINT and SIGTERM as bytes on a pipe; the former handlers come back at the end. A signal that this process was
// started with as ignored stays ignored.
class SignalPipe {
 public:
  SignalPipe() {
    int expected = -1;
    if (!signal_pipe.compare_exchange_strong(expected, pipe_.writing.get())) {
      fail(ErrorCode::kInternal, "a second run_graph() in one process");
    }
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < 2; ++i) {
      ::sigaction(kSignals[i], nullptr, &former_[i]);
      if (former_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
    }
  }
  ~SignalPipe() {
    for (std::size_t i = 0; i < 2; ++i) ::sigaction(kSignals[i], &former_[i], nullptr);
    signal_pipe.store(-1);
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  int descriptor() const { return pipe_.reading.get(); }
  // The next signal that came, 0 if none.
  int next() const {
    char byte = 0;
    return ::read(pipe_.reading.get(), &byte, 1) == 1 ? byte : 0;
  }

 private:
  static constexpr int kSignals[2] = {SIGINT, SIGTERM};
  Pipe pipe_ = make_pipe(O_NONBLOCK);
  struct sigaction former_[2]{};
};

std::string signal_text(int signal) {
  const char* words = ::sigdescr_np(signal);
  return words == nullptr ? cat("signal ", signal) : cat("signal ", signal, " (", words, ")");
}

class Run {
 public:
  Run(const Graph& graph, const SupervisorOptions& options) : graph_(graph), options_(options) {}
  RunReport operator()();

 private:
  enum class Stop { kNo, kTime, kMemory, kRun };
  struct Running {
    std::size_t node = 0;
    int slot = 0;
    std::unique_ptr<WorkerProcess> process;
    Clock::time_point start;
    Clock::time_point group_scan;
    Stop stop = Stop::kNo;
    Clock::time_point stop_time;
    bool killed = false;
    std::int64_t last_mib = 0;
    std::string error;  // what the worker said itself
  };

  void check_options() const;
  void plan();
  void start_ready();
  bool is_free(std::size_t index);
  void start(std::size_t index);
  int free_slot() const;
  void wait();
  void take_signals();
  void watch(Running& running);
  void ask_to_stop(Running& running, Stop reason);
  void end(Running& running, Ending ending);
  std::string failure_text(const Running& running, Ending ending) const;
  void settle(std::size_t index, NodeState state, std::string message);
  void skip_dependents(std::size_t index);
  bool ready(std::size_t index) const;
  void finish();

  const Node& node(std::size_t index) const { return graph_.nodes()[index]; }
  NodeReport& report(std::size_t index) { return report_.nodes[index]; }

  const Graph& graph_;
  const SupervisorOptions& options_;
  RunReport report_;
  std::vector<bool> done_;
  std::vector<bool> open_;  // wanted and not settled, running ones included
  // Nodes that another experiment's worker holds, and when to look again.
  std::vector<Clock::time_point> not_before_;
  std::vector<Running> running_;
  std::unique_ptr<SignalPipe> signals_;
};

void Run::check_options() const {
  if (options_.jobs < 1) fail(ErrorCode::kInvalidArgument, "jobs is ", options_.jobs, ", expected at least 1");
  if (options_.limit && *options_.limit < 0) {
    fail(ErrorCode::kInvalidArgument, "limit is ", *options_.limit, ", expected at least 0");
  }
  if (!(options_.node_seconds >= 0) || options_.node_memory_mib < 0 || !(options_.grace_seconds >= 0)) {
    fail(ErrorCode::kInvalidArgument, "node_seconds, node_memory and the grace time cannot be negative");
  }
  if (!options_.is_done || !options_.command) fail(ErrorCode::kInternal, "the supervisor needs is_done and command");
}

void Run::plan() {
  for (const auto& one : graph_.nodes()) done_.push_back(options_.is_done(one));
  const auto need = select(graph_, done_, options_.limit);
  open_.assign(graph_.size(), false);
  not_before_.assign(graph_.size(), Clock::time_point::min());
  int stored = 0;
  int wanted = 0;
  for (std::size_t i = 0; i < graph_.size(); ++i) {
    auto& one = report_.nodes.emplace_back();
    one.id = node(i).id;
    one.label = node(i).label;
    switch (need[i]) {
      case Need::kDone:
        one.state = NodeState::kStored;
        ++stored;
        break;
      case Need::kWanted:
        open_[i] = true;
        ++wanted;
        break;
      case Need::kUnneeded: one.message = "not needed: all that uses it is stored"; break;
      case Need::kBeyondLimit: one.message = cat("past the limit of ", *options_.limit, " cells"); break;
    }
  }
  if (options_.observer != nullptr) options_.observer->planned(stored, wanted);
}

bool Run::ready(std::size_t index) const {
  const auto& needed = graph_.dependencies(index);
  return std::all_of(needed.begin(), needed.end(), [&](std::size_t d) { return done_[d]; });
}

void Run::settle(std::size_t index, NodeState state, std::string message) {
  open_[index] = false;
  done_[index] = state == NodeState::kStored || state == NodeState::kRan;
  auto& one = report(index);
  one.state = state;
  one.message = std::move(message);
  if (options_.observer != nullptr) options_.observer->ended(node(index), one);
  if (state == NodeState::kFailed) skip_dependents(index);
}

// All that needs it, directly or not, names it: the cause, not the next link of the chain.
void Run::skip_dependents(std::size_t index) {
  std::vector<std::size_t> queue = graph_.dependents(index);
  while (!queue.empty()) {
    const auto user = queue.back();
    queue.pop_back();
    if (!open_[user]) continue;
    settle(user, NodeState::kSkipped, cat("skipped: needs ", node(index).id));
    const auto& next = graph_.dependents(user);
    queue.insert(queue.end(), next.begin(), next.end());
  }
}

void Run::start_ready() {
  const auto is_running = [&](std::size_t i) {
    return std::any_of(running_.begin(), running_.end(), [&](const auto& one) { return one.node == i; });
  };
  for (std::size_t i = 0; i < graph_.size() && static_cast<int>(running_.size()) < options_.jobs; ++i) {
    if (!open_[i] || is_running(i) || !ready(i) || Clock::now() < not_before_[i]) continue;
    start(i);
  }
}

int Run::free_slot() const {
  int slot = 0;
  const auto taken = [&](const Running& one) { return one.slot == slot; };
  while (std::any_of(running_.begin(), running_.end(), taken)) ++slot;
  return slot;
}

// Neither another experiment's worker has the node nor has one done it meanwhile.
bool Run::is_free(std::size_t index) {
  if (options_.lock_folder.empty()) return true;
  bool done = false;
  try {
    const auto lock = FileLock::try_lock(options_.lock_folder / cat(node(index).id, ".lock"));
    if (!lock.held()) {
      // Others go first, and its time does not run while it waits for nothing.
      not_before_[index] = Clock::now() + std::chrono::milliseconds(500);
      return false;
    }
    done = options_.is_done(node(index));
  } catch (const std::exception& error) {
    settle(index, NodeState::kFailed, cat("it cannot be started: ", error.what()));
    return false;
  }
  if (done) settle(index, NodeState::kStored, "done by another process meanwhile");
  return !done;
}

void Run::start(std::size_t index) {
  if (!is_free(index)) return;
  Running running;
  running.node = index;
  running.slot = free_slot();
  report(index).log = options_.log_folder / cat(node(index).id, ".log");
  running.process = std::make_unique<WorkerProcess>(options_.command(node(index), running.slot), options_.environment,
                                                    report(index).log);
  running.start = Clock::now();
  running.group_scan = running.start;
  running_.push_back(std::move(running));
  if (options_.observer != nullptr) options_.observer->started(node(index));
}

void Run::ask_to_stop(Running& running, Stop reason) {
  if (running.stop != Stop::kNo) return;
  running.stop = reason;
  running.stop_time = Clock::now();
  running.process->send(SIGTERM);
}

void Run::take_signals() {
  while (const int signal = signals_->next()) {
    if (report_.stopped_by == 0) {
      report_.stopped_by = signal;
      for (auto& running : running_) ask_to_stop(running, Stop::kRun);
    } else {
      for (auto& running : running_) {
        running.killed = true;
        running.process->send(SIGKILL);
      }
    }
  }
}

void Run::watch(Running& running) {
  const auto now = Clock::now();
  const bool scan = now - running.group_scan >= kGroupScanInterval;
  if (scan) running.group_scan = now;
  running.last_mib = running.process->resident_mib(scan);
  auto& peak = report(running.node).peak_mib;
  peak = std::max({peak, running.last_mib, running.process->peak_mib()});
  const auto bound = options_.node_memory_mib;
  if (running.stop == Stop::kNo) {
    if (bound > 0 && running.last_mib > bound) {
      // Not asked first: it would go on allocating meanwhile.
      running.stop = Stop::kMemory;
      running.killed = true;
      running.process->send(SIGKILL);
    } else if (options_.node_seconds > 0 && seconds_since(running.start) > options_.node_seconds) {
      ask_to_stop(running, Stop::kTime);
    }
  }
  if (running.stop == Stop::kNo || running.killed) return;
  if (seconds_since(running.stop_time) >= options_.grace_seconds) {
    running.killed = true;
    running.process->send(SIGKILL);
  }
}

void Run::wait() {
  std::vector<pollfd> waiting{{signals_->descriptor(), POLLIN, 0}};
  bool ending = false;
  for (const auto& running : running_) {
    // A closed pipe mostly means that the worker is about to end.
    if (running.process->progress_descriptor() < 0) ending = true;
    waiting.push_back({running.process->progress_descriptor(), POLLIN, 0});
  }
  ::poll(waiting.data(), waiting.size(), ending ? 5 : kTickMilliseconds);
}

std::string Run::failure_text(const Running& running, Ending ending) const {
  const auto& log = report_.nodes[running.node].log;
  const std::string ignored = running.killed ? "; it did not end on SIGTERM and was killed" : "";
  const std::string where = cat("; log: ", log.string());
  switch (running.stop) {
    case Stop::kTime:
      return cat("stopped after ", number_text("%.3g", seconds_since(running.start)), " s: node_seconds is ",
                 number_text("%.3g", options_.node_seconds), ignored, where);
    case Stop::kMemory:
      return cat("stopped at ", report_.nodes[running.node].peak_mib, " MiB: node_memory is ", options_.node_memory_mib,
                 " MiB", where);
    case Stop::kRun: return cat("stopped with the run", ignored);
    case Stop::kNo: break;
  }
  const std::string said = !running.error.empty() ? running.error : last_line(log);
  const std::string detail = said.empty() ? "" : cat(": ", said);
  if (ending.signal != 0) {
    return cat("crashed by ", signal_text(ending.signal),
               ending.signal == SIGKILL ? ", perhaps because the machine ran out of memory" : "", detail, where);
  }
  if (ending.status != 0) return cat("failed with exit status ", ending.status, detail, where);
  return cat("ended without a result, though with exit status 0", detail, where);
}

void Run::end(Running& running, Ending ending) {
  const auto index = running.node;
  report(index).seconds = seconds_since(running.start);
  bool done = false;
  std::string unreadable;
  try {
    done = options_.is_done(node(index));
  } catch (const std::exception& error) {
    unreadable = cat("its result cannot be read: ", error.what(), "; log: ", report(index).log.string());
  }
  if (done) {
    // Its file is committed: what came after does not matter, but is not hidden.
    std::string note;
    if (ending.signal != 0) note = cat("its result is stored; the worker then ended by ", signal_text(ending.signal));
    if (ending.status != 0) note = cat("its result is stored; the worker then ended with exit status ", ending.status);
    settle(index, NodeState::kRan, std::move(note));
  } else if (running.stop == Stop::kRun) {
    settle(index, NodeState::kStopped, failure_text(running, ending));
  } else {
    settle(index, NodeState::kFailed, unreadable.empty() ? failure_text(running, ending) : unreadable);
  }
}

void Run::finish() {
  for (std::size_t i = 0; i < graph_.size(); ++i) {
    if (!open_[i]) continue;
    open_[i] = false;
    report(i).message = "not started: the run was stopped";
  }
}

RunReport Run::operator()() {
  check_options();
  const auto start = Clock::now();
  plan();
  for (const auto& folder : {options_.log_folder, options_.lock_folder}) {
    std::error_code error;
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    if (error) fail(ErrorCode::kIo, "cannot create folder ", folder.string(), ": ", error.message());
  }
  signals_ = std::make_unique<SignalPipe>();
  auto last_tick = start;
  for (;;) {
    take_signals();
    if (report_.stopped_by == 0) start_ready();
    const bool more = report_.stopped_by == 0 && std::find(open_.begin(), open_.end(), true) != open_.end();
    if (running_.empty() && !more) break;
    wait();
    const auto now = Clock::now();
    const bool tick = now - last_tick >= std::chrono::milliseconds(kTickMilliseconds);
    for (std::size_t i = 0; i < running_.size();) {
      auto& running = running_[i];
      const auto listen = [&](const MachineLine& line) {
        if (line.kind == "error") running.error = line.text;
        if (line.progress && options_.observer != nullptr)
          options_.observer->progressed(node(running.node), *line.progress);
      };
      running.process->read_progress(listen);
      const auto ending = running.process->try_wait();
      if (!ending) {
        if (tick) watch(running);
        ++i;
        continue;
      }
      running.process->read_progress(listen);
      Running ended = std::move(running);
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
      end(ended, *ending);
    }
    if (tick) {
      last_tick = now;
      if (options_.observer != nullptr) options_.observer->tick();
    }
  }
  finish();
  report_.seconds = seconds_since(start);
  return std::move(report_);
}

}  // namespace

std::string_view name_of(NodeState state) {
  switch (state) {
    case NodeState::kStored: return "stored";
    case NodeState::kRan: return "ran";
    case NodeState::kFailed: return "failed";
    case NodeState::kSkipped: return "skipped";
    case NodeState::kStopped: return "stopped";
    case NodeState::kNotStarted: return "not started";
  }
  return "unknown";
}

int RunReport::count(NodeState state) const {
  return static_cast<int>(
      std::count_if(nodes.begin(), nodes.end(), [&](const NodeReport& one) { return one.state == state; }));
}

bool RunReport::ok() const {
  return stopped_by == 0 && count(NodeState::kFailed) == 0 && count(NodeState::kSkipped) == 0;
}

std::string RunReport::text() const {
  std::string text = cat(nodes.size(), nodes.size() == 1 ? " node" : " nodes");
  std::string separator = ": ";
  for (const auto state : {NodeState::kStored, NodeState::kRan, NodeState::kFailed, NodeState::kSkipped,
                           NodeState::kStopped, NodeState::kNotStarted}) {
    if (const int n = count(state); n > 0) {
      text += cat(separator, n, " ", name_of(state));
      separator = ", ";
    }
  }
  for (const auto& one : nodes) {
    if (one.state == NodeState::kFailed || one.state == NodeState::kSkipped)
      text += cat("\n  ", one.id, ": ", one.message);
  }
  if (stopped_by != 0) text += cat("\nstopped by ", signal_text(stopped_by), "; the same command goes on from here");
  return text;
}

std::vector<std::pair<std::string, std::string>> thread_environment(int threads) {
  if (threads < 1) fail(ErrorCode::kInvalidArgument, "a worker has ", threads, " threads, expected at least 1");
  const auto text = std::to_string(threads);
  return {
      {"OMP_NUM_THREADS", text}, {"MKL_NUM_THREADS", text}, {"OPENBLAS_NUM_THREADS", text}, {"MKL_DYNAMIC", "FALSE"}};
}

RunReport run_graph(const Graph& graph, const SupervisorOptions& options) { return Run(graph, options)(); }

}  // namespace palimpsest::experiment
