// Which devices this process has, and the list of them that a run hands to its workers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::experiment {

// Throws kUnsupported when libtorch finds no such device on this machine; `what` names who wants it. `device` is one of
// config::is_device().
void check_device(const std::string& device, std::string_view what);

// "cuda:0,cuda:1" as a list. Throws kInvalidArgument for what is no device, and for devices of two types: results
// depend on the type, and must not depend on which worker had which.
std::vector<std::string> parse_devices(std::string_view list);

}  // namespace palimpsest::experiment
