#include <algorithm>
#include <filesystem>
#include <iostream>
#include <vector>

#include "app/commands.hpp"
#include "app/process.hpp"
#include "app/program.hpp"
#include "base/error.hpp"

namespace palimpsest::app {

int bench_command(const Arguments&) {
  const auto folder = program().executable.parent_path();
  std::vector<std::filesystem::path> programs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename().string().ends_with("_benchmark"))
      programs.push_back(entry.path());
  }
  if (programs.empty()) {
    fail(ErrorCode::kNotFound, "no benchmark programs (*_benchmark) in ", folder.string(),
         "; build them with CMake's option PALIMPSEST_BUILD_BENCHMARKS");
  }
  std::sort(programs.begin(), programs.end());
  int worst = 0;
  for (const auto& benchmark : programs) {
    std::cout << "== " << benchmark.filename().string() << std::endl;
    const int status = run_program({benchmark.string()});
    if (status != 0) std::cerr << "error: " << benchmark.filename().string() << " ended with status " << status << '\n';
    worst = std::max(worst, status);
  }
  return worst == 0 ? 0 : 1;
}

}  // namespace palimpsest::app
