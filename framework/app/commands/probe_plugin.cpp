#include "app/commands.hpp"
#include "app/program.hpp"

namespace palimpsest::app {

int probe_plugin_command(const Arguments& arguments) {
  plugin::HostBuild host = host_build();
  host.probe_command.clear();
  host.probe_cache.clear();
  return plugin::probe_library(arguments.positional.front(), host);
}

}  // namespace palimpsest::app
