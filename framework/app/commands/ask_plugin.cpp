// The hidden command that asks an editor what it needs, or a metric what it measures, in a process that nobody misses.
#include "app/commands.hpp"
#include "app/program.hpp"
#include "experiment/needs.hpp"

namespace palimpsest::app {

int ask_plugin_command(const Arguments& arguments) {
  plugin::HostBuild host = host_build();
  host.probe_command.clear();
  host.probe_cache.clear();
  return experiment::answer_needs(arguments.positional.at(0), arguments.positional.at(1), arguments.positional.at(2),
                                  host);
}

}  // namespace palimpsest::app
