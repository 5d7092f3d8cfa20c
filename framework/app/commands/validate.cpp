#include <iostream>

#include "app/checked.hpp"
#include "app/commands.hpp"
#include "app/setup.hpp"

namespace palimpsest::app {

int validate_command(const Arguments& arguments) {
  const std::string& file = arguments.positional.front();
  const config::Document document = config::load_document(file, arguments.values("set"));
  const Setup setup(document);
  const Checked checked = check(document, setup);
  if (const int status = report_problems(checked, file); status != 0) return status;
  const std::size_t cells = checked.plan->cells().size();
  std::cout << file << " is in order: " << cells << (cells == 1 ? " cell" : " cells") << '\n';
  return 0;
}

}  // namespace palimpsest::app
