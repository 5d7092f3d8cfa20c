#include "base/progress.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest {
namespace {

using Clock = std::chrono::steady_clock;

// Nothing where the variable is missing, malformed, or names a descriptor that is not open.
std::optional<int> supervisor_descriptor() {
  const char* text = std::getenv(kProgressDescriptorVariable);
  if (text == nullptr) return std::nullopt;
  int descriptor = -1;
  const std::string_view view(text);
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), descriptor);
  if (error != std::errc() || end != view.data() + view.size() || descriptor < 0) return std::nullopt;
  if (::fcntl(descriptor, F_GETFD) < 0) return std::nullopt;
  return descriptor;
}

std::string one_field(std::string_view text) {
  std::string out(text);
  std::replace_if(out.begin(), out.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return out;
}

std::string rate_text(double rate) { return number_text(rate < 10 ? "%.2f" : rate < 100 ? "%.1f" : "%.0f", rate); }

int percent(const ProgressState& state) {
  const double share = static_cast<double>(state.done) / static_cast<double>(state.total);
  return static_cast<int>(std::floor(100.0 * std::clamp(share, 0.0, 1.0)));
}

template <typename Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Clock::duration least_interval(ProgressStyle style) {
  switch (style) {
    case ProgressStyle::kBar: return std::chrono::milliseconds(100);
    case ProgressStyle::kMachine: return std::chrono::milliseconds(200);
    case ProgressStyle::kLines:
    case ProgressStyle::kSilent: break;
  }
  return std::chrono::seconds(5);
}

}  // namespace

void write_progress(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(descriptor, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

int terminal_columns(int descriptor) {
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

ProgressSink default_progress_sink() {
  if (const auto descriptor = supervisor_descriptor()) return {ProgressStyle::kMachine, *descriptor};
  const char* terminal = std::getenv("TERM");
  const bool rewrites = terminal != nullptr && *terminal != '\0' && std::string_view(terminal) != "dumb";
  return {::isatty(2) == 1 && rewrites ? ProgressStyle::kBar : ProgressStyle::kLines, 2};
}

double ProgressState::rate() const {
  const auto made = done - done_before;
  return made > 0 && seconds > 0 ? static_cast<double>(made) / seconds : 0.0;
}

std::optional<double> ProgressState::seconds_left() const {
  const double speed = rate();
  if (total <= 0 || speed <= 0 || done >= total) return std::nullopt;
  return static_cast<double>(total - done) / speed;
}

Progress::Progress(std::string label, std::int64_t total, std::string unit, std::int64_t done_before, ProgressSink sink)
    : sink_(sink), start_(Clock::now()) {
  state_.label = std::move(label);
  state_.total = total;
  state_.unit = std::move(unit);
  state_.done = done_before;
  state_.done_before = done_before;
  const std::lock_guard guard(mutex_);
  // A bar and a supervisor want to know at once what is going on; a log does not need the line of work that is over
  // soon.
  if (sink_.style == ProgressStyle::kLines) {
    shown_ = start_;
  } else {
    show(false);
  }
}

Progress::~Progress() {
  const std::lock_guard guard(mutex_);
  if (!finished_ && sink_.style == ProgressStyle::kBar) write_progress(sink_.descriptor, "\n");
}

void Progress::advance(std::int64_t by) {
  const std::lock_guard guard(mutex_);
  state_.done += by;
  show(false);
}

void Progress::set(std::int64_t done) {
  const std::lock_guard guard(mutex_);
  state_.done = done;
  show(false);
}

void Progress::finish() {
  const std::lock_guard guard(mutex_);
  if (finished_) return;
  show(true);
  finished_ = true;
}

void Progress::show(bool last) {
  if (finished_ || sink_.style == ProgressStyle::kSilent) return;
  const auto now = Clock::now();
  if (!last && shown_ && now - *shown_ < least_interval(sink_.style)) return;
  state_.seconds = std::chrono::duration<double>(now - start_).count();
  switch (sink_.style) {
    case ProgressStyle::kBar: {
      // The cursor goes back to the line's start, so that a log message lands there and not behind the bar.
      const std::string bar = progress_bar(state_, terminal_columns(sink_.descriptor) - 1);
      write_progress(sink_.descriptor, cat("\r", bar, "\x1b[K", last ? "\n" : "\r"));
      break;
    }
    case ProgressStyle::kLines:
      // Work that ended before its first line stays silent.
      if (last && now - start_ < least_interval(sink_.style)) break;
      write_progress(sink_.descriptor,
                     cat(progress_line(state_), last ? cat(", took ", duration_text(state_.seconds)) : "", "\n"));
      break;
    case ProgressStyle::kMachine: write_progress(sink_.descriptor, cat(machine_line(state_), "\n")); break;
    case ProgressStyle::kSilent: break;
  }
  shown_ = now;
}

std::string duration_text(double seconds) {
  if (!(seconds >= 0)) return "?";
  if (seconds >= 1e9) return "years";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  char buffer[64];
  if (whole < 60) {
    std::snprintf(buffer, sizeof buffer, "%lld s", static_cast<long long>(whole));
  } else if (whole < 3600) {
    std::snprintf(buffer, sizeof buffer, "%lld min %02lld s", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld h %02lld min", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole % 3600 / 60));
  }
  return buffer;
}

std::string progress_line(const ProgressState& state) {
  std::string line = cat(state.label, ": ", state.done);
  if (state.total > 0) line += cat(" of ", state.total);
  if (!state.unit.empty()) line += cat(" ", state.unit);
  if (state.total > 0) line += cat(" (", percent(state), " %)");
  if (state.rate() > 0) line += cat(", ", rate_text(state.rate()), state.unit.empty() ? "" : " ", state.unit, "/s");
  if (const auto left = state.seconds_left()) line += cat(", ", duration_text(*left), " left");
  return line;
}

std::string progress_bar(const ProgressState& state, int columns) {
  std::string tail;
  if (state.total > 0) {
    tail = cat(" ", percent(state), " % ", state.done, "/", state.total, state.unit.empty() ? "" : " ", state.unit);
  } else {
    tail = cat(" ", state.done, state.unit.empty() ? "" : " ", state.unit);
  }
  if (state.rate() > 0) tail += cat(" ", rate_text(state.rate()), "/s");
  if (const auto left = state.seconds_left()) tail += cat(" ", duration_text(*left), " left");
  std::string line = state.label;
  const int room = columns - static_cast<int>(line.size() + tail.size()) - 3;
  if (state.total > 0 && room >= 8) {
    const int width = std::min(room, 30);
    const int filled = percent(state) * width / 100;
    line += cat(" [", std::string(static_cast<std::size_t>(filled), '#'),
                std::string(static_cast<std::size_t>(width - filled), '-'), "]");
  }
  line += tail;
  if (static_cast<int>(line.size()) > columns) line.resize(static_cast<std::size_t>(std::max(columns, 0)));
  return line;
}

std::string machine_line(const ProgressState& state) {
  return cat("progress\t", one_field(state.label), "\t", state.done, "\t", state.total, "\t", one_field(state.unit),
             "\t", number_text("%.3f", state.seconds), "\t", state.done_before);
}

std::optional<MachineLine> parse_machine_line(std::string_view line) {
  const auto tab = line.find('\t');
  if (tab == std::string_view::npos || tab == 0) return std::nullopt;
  MachineLine parsed{std::string(line.substr(0, tab)), std::string(line.substr(tab + 1)), std::nullopt};
  if (parsed.kind != "progress") return parsed;
  std::vector<std::string_view> fields;
  for (std::string_view rest = line.substr(tab + 1);;) {
    const auto end = rest.find('\t');
    fields.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  ProgressState state;
  if (fields.size() != 6 || !parse_number(fields[1], state.done) || !parse_number(fields[2], state.total) ||
      !parse_number(fields[4], state.seconds) || !parse_number(fields[5], state.done_before)) {
    return std::nullopt;
  }
  state.label = fields[0];
  state.unit = fields[3];
  parsed.progress = std::move(state);
  return parsed;
}

bool tell_supervisor(std::string_view kind, std::string_view text) {
  const auto descriptor = supervisor_descriptor();
  if (!descriptor) return false;
  write_progress(*descriptor, cat(one_field(kind), "\t", one_field(text), "\n"));
  return true;
}

}  // namespace palimpsest
