// The program's log: one line per message on standard error. log.cpp alone includes spdlog, because spdlog's and
// torch's copies of fmt cannot meet in one unit. Thread-safe.
#pragma once

#include <string_view>

namespace palimpsest::log {

enum class Level { kDebug, kInfo, kWarning, kError };

void write(Level level, std::string_view message);
inline void warning(std::string_view message) { write(Level::kWarning, message); }

}  // namespace palimpsest::log
