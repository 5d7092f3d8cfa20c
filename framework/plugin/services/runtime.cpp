// error/1, log/1, progress/1, cancel/1, random/1
#include <cstddef>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/progress.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

void set_error(const palimpsest_host*, palimpsest_text sentence) { set_last_error(std::string(view(sentence))); }
palimpsest_text get_error(const palimpsest_host*) { return text_of(last_error()); }

void write_log(const palimpsest_host* host, palimpsest_log_level level, palimpsest_text message) {
  const log::Level levels[] = {log::Level::kDebug, log::Level::kInfo, log::Level::kWarning, log::Level::kError};
  const bool known = level >= PALIMPSEST_LOG_DEBUG && level <= PALIMPSEST_LOG_ERROR;
  log::write(known ? levels[level] : log::Level::kInfo, cat(context_of(host).label, ": ", view(message)));
}

void report_progress(const palimpsest_host* host, palimpsest_text label, int64_t done, int64_t total,
                     palimpsest_text unit) {
  ProgressState state;
  state.label = cat(context_of(host).label, ": ", view(label));
  state.done = done;
  state.total = total;
  state.unit = view(unit);
  const std::string line = machine_line(state);
  const std::size_t tab = line.find('\t');
  tell_supervisor("progress", tab == std::string::npos ? line : line.substr(tab + 1));
}

int32_t cancel_requested(const palimpsest_host* host) {
  const auto& session = context_of(host).session;
  return session && session->cancelled && session->cancelled() ? 1 : 0;
}

Rng& stream_of(const palimpsest_host* host, palimpsest_text name) {
  HostContext& context = context_of(host);
  refuse_in_compute(context.store_scope, PALIMPSEST_STORE_ON_SEED, "random/1");
  const std::string key(view(name));
  const std::uint64_t seed = context.session ? context.session->seed : 0;
  return context.streams.try_emplace(key, seed, cat(context.label, "/", key)).first->second;
}

palimpsest_status uniform(const palimpsest_host* host, palimpsest_text stream, double* out, size_t count) {
  return guarded([&] {
    Rng& rng = stream_of(host, stream);
    for (size_t i = 0; i < count; ++i) out[i] = rng.uniform();
  });
}

palimpsest_status normal(const palimpsest_host* host, palimpsest_text stream, double* out, size_t count) {
  return guarded([&] {
    Rng& rng = stream_of(host, stream);
    for (size_t i = 0; i < count; ++i) out[i] = rng.normal();
  });
}

}  // namespace

const palimpsest_error_v1& error_service() {
  static constexpr palimpsest_error_v1 kTable = {set_error, get_error};
  return kTable;
}
const palimpsest_log_v1& log_service() {
  static constexpr palimpsest_log_v1 kTable = {write_log};
  return kTable;
}
const palimpsest_progress_v1& progress_service() {
  static constexpr palimpsest_progress_v1 kTable = {report_progress};
  return kTable;
}
const palimpsest_cancel_v1& cancel_service() {
  static constexpr palimpsest_cancel_v1 kTable = {cancel_requested};
  return kTable;
}
const palimpsest_random_v1& random_service() {
  static constexpr palimpsest_random_v1 kTable = {uniform, normal};
  return kTable;
}

}  // namespace palimpsest::plugin
