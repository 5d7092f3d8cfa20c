// Runs another program in the foreground: the scripts of `prepare` and `bench`.
#pragma once

#include <string>
#include <vector>

namespace palimpsest::app {

// Waits for it; its input and output are this process's. The exit status, or 128 + the signal that ended it. Throws as
// spawn() does (base/process.hpp) when it cannot be started.
int run_program(const std::vector<std::string>& command);

// The Python for them: PALIMPSEST_PYTHON, or the one that the build was made with where it is still there, or the
// system's.
std::string python();

}  // namespace palimpsest::app
