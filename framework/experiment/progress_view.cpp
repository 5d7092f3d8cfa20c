#include "experiment/progress_view.hpp"

#include "base/error.hpp"

namespace palimpsest::experiment {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLineInterval = std::chrono::seconds(10);

}  // namespace

ProgressView::ProgressView(ProgressSink sink) : sink_(sink), shown_(Clock::now()) {}

ProgressView::~ProgressView() {
  if (drawn_) write_progress(sink_.descriptor, "\r\x1b[K");
}

void ProgressView::planned(int stored, int wanted) {
  wanted_ = wanted;
  line(cat(wanted, wanted == 1 ? " node" : " nodes", " to run, ", stored, " stored already"));
}

void ProgressView::started(const Node& node) {
  running_[node.id] = {node.label.empty() ? node.id : node.label, {}};
  // On a terminal the status line says it.
  if (sink_.style != ProgressStyle::kBar) line(cat("started: ", running_[node.id].label));
  draw();
}

void ProgressView::progressed(const Node& node, const ProgressState& state) {
  running_[node.id].state = state;
  draw();
}

void ProgressView::ended(const Node& node, const NodeReport& report) {
  running_.erase(node.id);
  ++ended_;
  std::string text = cat("[", ended_, "/", wanted_, "] ", node.label.empty() ? node.id : node.label, ": ");
  // A skipped node's message says so itself.
  if (report.state != NodeState::kSkipped) text += name_of(report.state);
  if (report.seconds > 0) text += cat(" in ", duration_text(report.seconds), ", ", report.peak_mib, " MiB");
  if (!report.message.empty()) text += cat(report.state == NodeState::kSkipped ? "" : ": ", report.message);
  line(text);
  draw();
}

void ProgressView::tick() { draw(); }

std::string ProgressView::status() const {
  std::string text = cat(ended_, "/", wanted_, " nodes");
  for (const auto& [id, one] : running_) {
    text += cat(" | ", one.label);
    if (!one.state.label.empty()) text += cat(": ", progress_line(one.state));
  }
  return text;
}

void ProgressView::line(const std::string& text) {
  if (sink_.style == ProgressStyle::kSilent || sink_.style == ProgressStyle::kMachine) return;
  write_progress(sink_.descriptor, cat(drawn_ ? "\r\x1b[K" : "", text, "\n"));
  drawn_ = false;
  if (sink_.style == ProgressStyle::kLines) shown_ = Clock::now();
}

void ProgressView::draw() {
  const auto now = Clock::now();
  if (sink_.style == ProgressStyle::kBar) {
    if (now - shown_ < std::chrono::milliseconds(100) && drawn_) return;
    std::string text = status();
    const auto columns = static_cast<std::size_t>(terminal_columns(sink_.descriptor) - 1);
    if (text.size() > columns) text.resize(columns);
    write_progress(sink_.descriptor, cat("\r", text, "\x1b[K\r"));
    drawn_ = true;
    shown_ = now;
  } else if (sink_.style == ProgressStyle::kLines && !running_.empty() && now - shown_ >= kLineInterval) {
    line(status());
  }
}

}  // namespace palimpsest::experiment
