// The program's log: one line per message on standard error. The only room that knows spdlog is log.cpp, because
// spdlog's and torch's copies of fmt cannot meet in one unit. Thread-safe.
#pragma once

#include <string_view>

namespace palimpsest::log {

enum class Level { kDebug, kInfo, kWarning, kError };

void set_level(Level level);
void write(Level level, std::string_view message);

inline void debug(std::string_view message) { write(Level::kDebug, message); }
inline void info(std::string_view message) { write(Level::kInfo, message); }
inline void warning(std::string_view message) { write(Level::kWarning, message); }
inline void error(std::string_view message) { write(Level::kError, message); }

}  // namespace palimpsest::log
