#include <iostream>

#include "app/commands.hpp"
#include "experiment/report.hpp"

namespace palimpsest::app {

int show_command(const Arguments& arguments) {
  std::cout << experiment::report(std::filesystem::path(arguments.positional.front()));
  return 0;
}

}  // namespace palimpsest::app
