#include <iostream>

#include "analysis/report.hpp"
#include "app/commands.hpp"

namespace palimpsest::app {

int show_command(const Arguments& arguments) {
  std::cout << analysis::report(std::filesystem::path(arguments.positional.front()));
  return 0;
}

}  // namespace palimpsest::app
