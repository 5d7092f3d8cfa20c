// What a worker of the supervisor's does on its side: it dies with its supervisor, may heed a request to stop, and
// locks its node.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string_view>

#include "base/files.hpp"

namespace palimpsest::experiment {

// Kills this process when its parent dies (its supervisor's run_graph() thread); at once if that is no longer
// `expected`.
void die_with_parent(pid_t expected);
// Call first in a worker started by run_graph(): die_with_parent() of the supervisor, broken progress pipes ignored.
// Throws Error(kInvalidArgument) when the process was not started by a supervisor.
void enter_worker();

// From this call on SIGTERM does not end the process but sets what stop_requested() says: for work that asks, a
// plugin's or a training loop's. Work that does not is killed when the supervisor's grace time is over.
void heed_stop_requests();
bool stop_requested();

// The node's lock below `folder` (created), waited for: of several experiments that run the same node, one computes it.
// Ask whether the node is done after taking it.
FileLock node_lock(const std::filesystem::path& folder, std::string_view id);

}  // namespace palimpsest::experiment
