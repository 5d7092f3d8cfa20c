// What was found, in words: the text printed after `run` and by `show FILE.h5`, for a reader who is new to all of it.
//
// Plain text of at most 100 columns, ending in a newline. Pure functions apart from reading the file. Safe from any
// thread, one at a time for the one that reads (HDF5's rule).
#pragma once

#include <filesystem>
#include <string>

#include "analysis/contrasts.hpp"
#include "analysis/summary.hpp"

namespace palimpsest::analysis {

// From tables that were made already.
std::string report(const Measurements& measurements, const results::Table& summary, const results::Table& contrasts,
                   const results::Table& gate);

// From an experiment's file, or from the file of one cell, whose summary is then computed here. Throws what Reader
// throws.
std::string report(const std::filesystem::path& file);

}  // namespace palimpsest::analysis
