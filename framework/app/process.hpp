// Runs another program in the foreground: the scripts of `prepare`, the programs of `bench`.
#pragma once

#include <string>
#include <vector>

namespace palimpsest::app {

// Waits for it; its input and output are this process's. The exit status, or 128 + the signal that ended it. Throws
// Error(kNotFound) when it cannot be started.
int run_program(const std::vector<std::string>& command);

}  // namespace palimpsest::app
