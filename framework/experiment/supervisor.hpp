// Runs the nodes of a plan, each in a process of its own.
//
// A node is done when is_done() says so, because its file is committed; what its worker returned never counts. A worker
// that fails, crashes, hangs or takes too much memory costs its node and the nodes that need it; the rest goes on.
// Processes are spawned, never forked without exec: OpenMP does not survive a fork. One run_graph() at a time in a
// process (it owns the handlers of SIGINT and SIGTERM meanwhile), from a thread that lives as long as it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/progress.hpp"
#include "experiment/graph.hpp"

namespace palimpsest::experiment {

enum class NodeState {
  kStored,      // was done before, or another process did it meanwhile
  kRan,         // a worker of this run did it
  kFailed,      // its worker ended without a result
  kSkipped,     // something that it needs failed
  kStopped,     // its worker was stopped with the run
  kNotStarted,  // not needed, past the limit, or the run was stopped before
};
std::string_view name_of(NodeState state);

struct NodeReport {
  std::string id;
  std::string label;
  NodeState state = NodeState::kNotStarted;
  double seconds = 0.0;       // wall time of its worker
  std::int64_t peak_mib = 0;  // highest resident size: of the worker by the kernel's mark, with children as seen
  std::string message;        // one line; "" where there is nothing to say
  std::filesystem::path log;  // of its worker; empty where none was started
};

struct RunReport {
  std::vector<NodeReport> nodes;  // in the graph's order
  double seconds = 0.0;
  int stopped_by = 0;  // the signal that ended the run early; 0 if none did

  int count(NodeState state) const;
  // No signal, and no node failed or was skipped.
  bool ok() const;
  // "12 nodes: 3 stored, 8 ran, 1 failed", then one line for every node that failed or was skipped, and for a stop.
  std::string text() const;
};

// Told what happens, on the thread that called run_graph(). Must not throw.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  // Before anything starts: how many nodes are stored, and how many are to run.
  virtual void planned(int /*stored*/, int /*wanted*/) {}
  virtual void started(const Node& /*node*/) {}
  virtual void progressed(const Node& /*node*/, const ProgressState& /*state*/) {}
  virtual void ended(const Node& /*node*/, const NodeReport& /*report*/) {}
  // About ten times a second.
  virtual void tick() {}
};

struct SupervisorOptions {
  int jobs = 1;              // workers at a time, at least 1
  std::optional<int> limit;  // at most so many cells that are not done yet
  double node_seconds = 0;   // wall time of a node; 0 for no bound
  // Resident size of a worker with its children, mapped files included; 0 for no bound.
  std::int64_t node_memory_mib = 0;
  double grace_seconds = 10;                 // between SIGTERM and SIGKILL
  std::function<bool(const Node&)> is_done;  // required; may read files
  // Required; the program's path first. `slot` is the least number from 0 that no running worker has: below `jobs`.
  std::function<std::vector<std::string>(const Node&, int slot)> command;
  // Added to this process's environment, replacing what has the same name.
  std::vector<std::pair<std::string, std::string>> environment;
  std::filesystem::path log_folder;   // gets <id>.log
  std::filesystem::path lock_folder;  // of node_lock() in supervisor_worker.hpp; empty: workers take no locks
  RunObserver* observer = nullptr;    // not owned
};

// OMP_NUM_THREADS, MKL_NUM_THREADS and OPENBLAS_NUM_THREADS = threads, MKL_DYNAMIC = FALSE: what a worker's arithmetic
// depends on, so it does not vary with --jobs.
std::vector<std::pair<std::string, std::string>> thread_environment(int threads);

// Runs what is wanted and not done. The first SIGINT or SIGTERM is handed to the workers as SIGTERM, and the run ends
// when they have (after grace_seconds they are killed); a second one kills them at once. Throws Error for bad options,
// a worker program that cannot be started, or what is_done throws before the first worker starts; what it throws later
// fails the node.
RunReport run_graph(const Graph& graph, const SupervisorOptions& options);

}  // namespace palimpsest::experiment
