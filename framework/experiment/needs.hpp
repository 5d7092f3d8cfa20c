// What an editor says that it needs, and a metric that it measures, asked in a process of its own.
//
// `plan`, `validate` and `run` ask every editor before any work, `tune` its objective's metrics. That creates an
// instance, and code of the plugin that aborts, exits or never comes back must not take them with it. Answers are kept
// by the plugin's file and the question.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "plugin/instance.hpp"

namespace palimpsest::experiment {

struct NeedsProcess {
  // The command that answers one question: path of the library, id and question are appended. Empty: ask in this
  // process.
  std::vector<std::string> command;
  int seconds = 60;             // for an answer
  std::filesystem::path cache;  // empty: nothing is kept
};

// `values` as for Instance. Throws Error with the plugin's sentence, or with how the process ended.
plugin::EditorNeeds ask_needs(const plugin::Plugin& plugin, const std::vector<plugin::ParameterValue>& values,
                              const palimpsest_model_info& model, const NeedsProcess& process);

// The columns that a metric declares, in its order. `values` and errors as above.
std::vector<std::string> ask_columns(const plugin::Plugin& plugin, const std::vector<plugin::ParameterValue>& values,
                                     const NeedsProcess& process);

// The process's side: prints the answer and leaves with status 0, or the error and 1.
int answer_needs(const std::filesystem::path& library, const std::string& id, const std::string& question,
                 const plugin::HostBuild& host);

}  // namespace palimpsest::experiment
