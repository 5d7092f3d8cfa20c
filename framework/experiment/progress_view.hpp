// Shows a run of the supervisor to people, on standard error: on a terminal one status line that is rewritten, with a
// line for every node that ended; elsewhere plain lines, about running nodes at most every ten seconds.
//
// Used from the thread of run_graph() alone.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "base/progress.hpp"
#include "experiment/supervisor.hpp"

namespace palimpsest::experiment {

class ProgressView : public RunObserver {
 public:
  explicit ProgressView(ProgressSink sink = default_progress_sink());
  // Ends the status line.
  ~ProgressView() override;
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  void planned(int stored, int wanted) override;
  void started(const Node& node) override;
  void progressed(const Node& node, const ProgressState& state) override;
  void ended(const Node& node, const NodeReport& report) override;
  void tick() override;

 private:
  struct Running {
    std::string label;
    ProgressState state;
  };
  void line(const std::string& text);
  void draw();
  std::string status() const;

  ProgressSink sink_;
  int wanted_ = 0;
  int ended_ = 0;
  std::map<std::string, Running> running_;
  std::chrono::steady_clock::time_point shown_;
  bool drawn_ = false;
};

}  // namespace palimpsest::experiment
