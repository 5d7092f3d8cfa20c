// Running a plugin of any kind on the tiny world: through the host's classes, its output as text that can be compared;
// and through the bare function tables, with sinks that count.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugin/conformance/world.hpp"
#include "plugin/instance.hpp"

namespace palimpsest::conformance {

class Exercise {
 public:
  virtual ~Exercise() = default;
  // Everything that the plugin emits, numbers in hexadecimal: equal texts are equal bits.
  virtual std::string run() = 0;
  // What of the output breaks the promises of the kind.
  virtual std::vector<std::string> violations() = 0;
  // Declared columns; none for kinds without.
  virtual std::vector<plugin::Column> columns() const { return {}; }
  // What it gives for one of the world's facts alone; "" for kinds that are not about single facts.
  virtual std::string run_fact(std::size_t) { return {}; }
  // What of the state that lives from one call to the next is not where it must be; of editors only.
  virtual std::vector<std::string> state_violations() { return {}; }
  // What a failed call did to that state; of editors that have one only.
  virtual std::vector<std::string> failure_violations() { return {}; }
  // Calls the main function through its table with sinks that count and give `sink_status`.
  struct Bare {
    palimpsest_status status = PALIMPSEST_OK;  // of the sinks, from call `refused_from` on; then of the function
    int sink_calls = 0;
    int refused_from = 1;
  };
  virtual Bare run_bare(palimpsest_status sink_status) = 0;
};

// `world` must live as long as the result.
std::unique_ptr<Exercise> make_exercise(const plugin::Plugin& plugin, TinyWorld& world);

}  // namespace palimpsest::conformance
