// What every plugin must do, as functions that return what they found wrong: an empty list is a pass. The same
// functions run over every plugin of the build and over plugins that were broken on purpose.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "conformance/world.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::conformance {

using Violations = std::vector<std::string>;

// The file's dynamic symbols: palimpsest_library and no other.
Violations check_exports(const std::filesystem::path& library);
// Descriptor and parameter table: well-formed, documented, a version of three numbers, no interface under a made-up
// name.
Violations check_description(const palimpsest_descriptor& descriptor);
// create with plausible values, twice.
Violations check_creation(const plugin::Plugin& plugin);
// Declared columns: unit, a definition in words, an aggregate that fits the dtype.
Violations check_columns(const plugin::Plugin& plugin);
// Runs, and gives what its kind promises: rows, examples, templates, decisions.
Violations check_output(const plugin::Plugin& plugin);
// The same instance gives the same again.
Violations check_repeatable(const plugin::Plugin& plugin);
// An instance gives the same whatever other instances were made and run before.
Violations check_isolated(const plugin::Plugin& plugin);
// No byte of the weights that a run was given changes.
Violations check_weights(const plugin::Plugin& plugin);
// A sink that fails makes the call fail, without an exception through the C boundary, and without a changed weight.
Violations check_failing_sink(const plugin::Plugin& plugin);
// Grad mode and thread count after a run; `guarded`: through the host's own class, which must restore them.
Violations check_thread_state(const plugin::Plugin& plugin, bool guarded);

}  // namespace palimpsest::conformance
