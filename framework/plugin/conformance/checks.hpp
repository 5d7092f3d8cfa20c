// What every plugin must do, as functions that return what they found wrong: an empty list is a pass. The same
// functions run over every plugin of the build, over plugins that were broken on purpose, and in `check-plugin`.
//
// `tiny` is the folder of the tiny world (world.hpp). One thread at a time. What a plugin throws or does wrong is a
// finding; one that ends the process ends it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "plugin/conformance/world.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::conformance {

using Violations = std::vector<std::string>;

// The file's dynamic symbols: palimpsest_library and no other.
Violations check_exports(const std::filesystem::path& library);
// Descriptor and parameter table: well-formed, documented, a version of three numbers, no interface under a made-up
// name.
Violations check_description(const palimpsest_descriptor& descriptor);
// create with plausible values, twice.
Violations check_creation(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// Declared columns: unit, a definition in words, an aggregate that fits the dtype.
Violations check_columns(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// Runs, and gives what its kind promises: rows, examples, templates, decisions.
Violations check_output(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// The same instance gives the same again.
Violations check_repeatable(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// An instance gives the same whatever other instances were made and run before.
Violations check_isolated(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// No byte of the weights that a run was given changes.
Violations check_weights(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// A sink that fails makes the call fail, without an exception through the C boundary, and without a changed weight.
Violations check_failing_sink(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// After a call that failed it gives what it gave before.
Violations check_recovers(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// Editors and augmenters: what is given for a fact does not depend on which facts came before it (isolated edits
// commute).
Violations check_order(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// Editors: what lives from one edit to the next is in editor.state/1, all of it.
Violations check_state(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// Editors with a state: an edit that fails leaves it as it was.
Violations check_failed_state(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
// Grad mode, thread count and libtorch's default generator after a run; `guarded`: through the host's own class, which
// must restore them.
Violations check_thread_state(const plugin::Plugin& plugin, const std::filesystem::path& tiny, bool guarded);

// One promise and the check that holds a plugin to it.
struct Check {
  const char* name;     // one or two words, for a list
  const char* promise;  // what is expected, a sentence
  Violations (*run)(const plugin::Plugin& plugin, const std::filesystem::path& tiny);
};
// All of them, in the order in which they make sense: what is declared first, then what a run does.
std::span<const Check> checks();

}  // namespace palimpsest::conformance
