// Progress of long work: a bar on a terminal, plain lines at most every few seconds elsewhere, and in a worker process
// machine lines on the descriptor that the supervisor reads and shows.
//
// Nothing of it is a result: progress never goes to standard output. Every member may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace palimpsest {

// The environment variable in which a supervisor hands its worker the descriptor for machine lines.
inline constexpr const char* kProgressDescriptorVariable = "PALIMPSEST_PROGRESS_FD";

enum class ProgressStyle {
  kSilent,
  kBar,      // one line, drawn again at most ten times a second
  kLines,    // a line at most every five seconds
  kMachine,  // lines that parse_machine_line() reads, at most five a second
};

struct ProgressSink {
  ProgressStyle style = ProgressStyle::kSilent;
  int descriptor = 2;  // not owned
};

// kMachine where kProgressDescriptorVariable names an open descriptor; else standard error, as a bar where it is a
// terminal that can rewrite its line.
ProgressSink default_progress_sink();

// What every view of progress needs. Progress that cannot be written is no reason to stop the work: errors are dropped.
void write_progress(int descriptor, std::string_view text);
int terminal_columns(int descriptor);  // 80 where it is no terminal

// How far something is. `total` 0 means that the end is not known.
struct ProgressState {
  std::string label;
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string unit;              // plural, e.g. "facts"
  double seconds = 0.0;          // since the start
  std::int64_t done_before = 0;  // of `done`, what was there at the start (a resumed run): not counted in the rate

  // Units a second; 0 while nothing can be said.
  double rate() const;
  // Seconds to the end by that rate; nothing while it cannot be said.
  std::optional<double> seconds_left() const;
};

class Progress {
 public:
  // `total` 0 where the end is not known; `done_before` what an earlier run had done already.
  Progress(std::string label, std::int64_t total, std::string unit, std::int64_t done_before = 0,
           ProgressSink sink = default_progress_sink());
  // Ends the bar's line. Says nothing where nothing was said before.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::int64_t by = 1);
  void set(std::int64_t done);
  // Shows the last state and ends the line; later calls do nothing.
  void finish();

 private:
  void show(bool last);

  std::mutex mutex_;
  ProgressSink sink_;
  ProgressState state_;
  std::chrono::steady_clock::time_point start_;
  std::optional<std::chrono::steady_clock::time_point> shown_;
  bool finished_ = false;
};

// "8 s", "1 min 05 s", "2 h 03 min".
std::string duration_text(double seconds);
// `label: 45 of 100 facts (45 %), 3.1 facts/s, 18 s left`; what is not known is left out.
std::string progress_line(const ProgressState& state);
// `label [#####-----] 45 % 45/100 facts 3.1/s 18 s left`, at most `columns` characters.
std::string progress_bar(const ProgressState& state, int columns);

// What a worker tells its supervisor, one line each: a kind, a tab, text without tabs and line ends.
struct MachineLine {
  std::string kind;                       // "progress", "error", or what tell_supervisor() was given
  std::string text;                       // everything after the first tab
  std::optional<ProgressState> progress;  // of kind "progress"
};
std::optional<MachineLine> parse_machine_line(std::string_view line);
std::string machine_line(const ProgressState& state);
// Writes `kind <tab> text` where this process is a worker; false where it is not. The worker's last word on an error is
// tell_supervisor("error", message).
bool tell_supervisor(std::string_view kind, std::string_view text);

}  // namespace palimpsest
