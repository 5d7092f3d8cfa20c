// `palimpsest run`: carries out a plan with worker processes, shows how it goes, writes the experiment's file and
// prints what was found.
//
// Interrupted or killed anywhere, the same call goes on where it stopped: a node is done when its result is stored.
// One run at a time in a process.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiment/plan.hpp"

namespace palimpsest::experiment {

struct RunOptions {
  std::filesystem::path file;         // as workers are given it
  std::vector<std::string> settings;  // of --set, as workers are given them
  std::optional<int> jobs;            // in place of run.jobs
  std::optional<int> limit;           // cells at most
  // One for each busy worker, in turn, in place of model.device; without `jobs` there are as many workers. Empty: all
  // workers use the cells' own.
  std::vector<std::string> devices;
  std::filesystem::path executable;  // its command `worker` computes a node
};

// The exit status: 0 when all that was wanted is done, 130 (or 128 + the signal) when the run was stopped, else 1.
// Throws Error for an output folder that cannot be made, and what run_graph and write_experiment_file throw.
int run(const Plan& plan, const RunOptions& options, const Environment& environment);

// Where nodes are locked, by all experiments that share a store.
std::filesystem::path lock_folder(const Store& store);

}  // namespace palimpsest::experiment
