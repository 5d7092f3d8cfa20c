#include <algorithm>
#include <filesystem>

#include "app/commands.hpp"
#include "app/process.hpp"
#include "app/program.hpp"
#include "base/error.hpp"

namespace palimpsest::app {

int bench_command(const Arguments&) {
  const Program& self = program();
  const auto folder = self.executable.parent_path();
  const auto entries = std::filesystem::directory_iterator(folder);
  if (std::none_of(begin(entries), end(entries), [](const auto& entry) {
        return entry.is_regular_file() && entry.path().filename().string().ends_with("_benchmark");
      })) {
    fail(ErrorCode::kNotFound, "no benchmark programs (*_benchmark) in ", folder.string(),
         "; build them with CMake's option PALIMPSEST_BUILD_BENCHMARKS");
  }
  const auto script = self.locations.root / "tests" / "benchmarks" / "bench.py";
  if (!std::filesystem::exists(script)) {
    fail(ErrorCode::kNotFound, "the script ", script.string(),
         " does not exist; it belongs to the program's source tree");
  }
  if (!std::filesystem::exists(self.model() / "config.json")) {
    fail(ErrorCode::kNotFound, "the benchmarks read the model in ", self.model().string(),
         ", and it is not there; `palimpsest prepare` fetches it");
  }
  const int status = run_program({python(), script.string(), "--programs", folder.string(), "--model",
                                  self.model().string(), "--text", (self.data() / "general.jsonl").string()});
  if (status != 0) {
    fail(ErrorCode::kIo, "the benchmarks ended with status ", status, "; run with ", python(),
         " (PALIMPSEST_PYTHON chooses another), they need the packages of cmake/setup/requirements-test.txt");
  }
  return 0;
}

}  // namespace palimpsest::app
