// Whether the workers of a cell fit into so much memory, and which settings would make them: the text of
// `palimpsest plan --device-memory`.
#pragma once

#include <string>
#include <vector>

#include "app/memory.hpp"

namespace palimpsest::app {

// "61.2 GiB", "510 MiB".
std::string memory_text(double bytes);

// A setting that lowers the most that a worker wants of the memory that the model is in, and what it then wants.
struct Remedy {
  std::string setting;  // as a config says it
  double wanted = 0;
};
// The single settings that help, the greatest help first; the last one, where more than one helps, is all together of
// those that keep what is trained and in which numbers.
std::vector<Remedy> remedies(const WorkerSizes& sizes);

// Lines, each indented by four blanks. `available` in bytes, of the device or, with model.device = "cpu", of the host.
std::string advice(const WorkerSizes& sizes, double available);

}  // namespace palimpsest::app
