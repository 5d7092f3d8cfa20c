// The program: finds the command, runs it, and turns what goes wrong into one line and an exit status: 1 for an error,
// 2 for words that are not understood, 130 when the user interrupted.
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "app/commands.hpp"
#include "base/error.hpp"

namespace {

using palimpsest::app::Arguments;
using palimpsest::app::Option;
using palimpsest::app::Positional;
using palimpsest::app::UsageError;

struct Command {
  std::string name;
  std::vector<Positional> positional;
  std::vector<Option> options;
  std::string summary;
  int (*run)(const Arguments&);
  bool hidden = false;
};

const Option kSet = {"set", "KEY=VALUE", "lay this over the file, e.g. --set training.max_steps=10; may be repeated",
                     true};

const std::vector<Command>& commands() {
  namespace app = palimpsest::app;
  static const std::vector<Command> all = {
      {"run",
       {{"FILE", true, true}},
       {kSet,
        {"jobs", "N", "worker processes at the same time (default: run.jobs of the file)"},
        {"limit", "N", "end after N cells that were not finished before, of each file"},
        {"devices", "LIST",
         "one device for each worker in turn, e.g. cuda:0,cuda:1, in place of model.device; without --jobs as many "
         "workers"}},
       "run an experiment, or one after the other; the same command goes on where an earlier run stopped",
       app::run_command},
      {"plan",
       {{"FILE"}},
       {kSet,
        {"device-memory", "SIZE",
         "of the model's device, e.g. 80G: say for each cell whether it fits, and what would help"}},
       "show what a run would do, about how long it takes and how much memory it wants; runs nothing",
       app::plan_command},
      {"validate",
       {{"FILE"}},
       {kSet},
       "check an experiment's file and report every problem at once",
       app::validate_command},
      {"tune",
       {{"FILE"}},
       {kSet, {"jobs", "N", "worker processes at the same time (default: run.jobs of the file)"}},
       "search an editor's parameters by how well it edits, on facts kept for that; goes on where it stopped",
       app::tune_command},
      {"plugins", {{"ID", false}}, {}, "list the plugins, or describe one with its parameters", app::plugins_command},
      {"show", {{"FILE.h5"}}, {}, "print what an experiment found", app::show_command},
      {"prepare", {}, {}, "fetch the example model and texts, once, and say where they are", app::prepare_command},
      {"new",
       {{"KIND"}, {"NAME"}},
       {{"output", "FOLDER", "where to write it (default: NAME in the current folder)"}},
       "write a project for a new plugin: editor, finetune-task, augmenter, freeze-policy or metric",
       app::new_command},
      {"check-plugin",
       {{"FILE.so"}},
       {},
       "hold a plugin library to what every plugin must do",
       app::check_plugin_command},
      {"bench", {}, {}, "measure speed beside plain Python, in one table; takes some minutes", app::bench_command},
      {"worker",
       {{"FILE"}},
       {kSet,
        {"plan-digest", "D", "of the plan that the node is taken from"},
        {"node", "ID", "what to compute"},
        {"device", "D", "to compute it on"}},
       "compute one node of a plan",
       app::worker_command,
       true},
      {"probe-plugin", {{"PATH"}}, {}, "load one library and leave", app::probe_plugin_command, true},
      {"check-plugin-here",
       {{"PATH"}, {"FIRST"}},
       {},
       "run the checks of one library from the one of that number on",
       app::check_plugin_here_command,
       true},
      {"ask-plugin",
       {{"PATH"}, {"ID"}, {"QUESTION"}},
       {},
       "ask an editor what it needs, or a metric what it measures",
       app::ask_plugin_command,
       true},
  };
  return all;
}

std::string words_of(const Positional& positional) {
  const std::string words = positional.placeholder + (positional.repeated ? "..." : "");
  return positional.required ? words : "[" + words + "]";
}

std::string usage_of(const Command& command) {
  std::string text = command.name;
  for (const Positional& p : command.positional) text.append(" ").append(words_of(p));
  for (const Option& o : command.options) {
    text += " [--" + o.name + " " + o.placeholder + "]" + (o.repeated ? "..." : "");
  }
  return text;
}

void line(const std::string& left, const std::string& right) {
  std::cout << "  " << std::left << std::setw(22) << left << right << '\n';
}

void print_help() {
  std::cout
      << "Palimpsest measures how much of the knowledge that was edited into a language model survives fine-tuning.\n\n"
         "Usage: palimpsest COMMAND [ARGUMENTS]\n\nCommands:\n";
  for (const Command& command : commands()) {
    if (command.hidden) continue;
    std::string left = command.name;
    for (const Positional& p : command.positional) left.append(" ").append(words_of(p));
    line(left, command.summary);
  }
  std::cout << "\nOptions:\n";
  line("--help", "this text; after a command, that command's options");
  line("--version", "versions of the program and of what it is built with");
  std::cout
      << "\nAn experiment is a TOML file, for example configs/quickstart.toml; docs/configuration.md has every key.\n";
}

void print_help(const Command& command) {
  std::cout << "Usage: palimpsest " << usage_of(command) << "\n\n" << command.summary << '\n';
  if (!command.options.empty()) std::cout << "\nOptions:\n";
  for (const Option& o : command.options) line("--" + o.name + " " + o.placeholder, o.doc);
}

int dispatch(const std::vector<std::string>& words) {
  if (words.empty() || words.front() == "--help" || words.front() == "-h" || words.front() == "help") {
    print_help();
    return 0;
  }
  if (words.front() == "--version") return palimpsest::app::version_command();
  std::vector<std::string> names = {"--help", "--version"};
  for (const Command& command : commands()) {
    if (command.name == words.front()) {
      const std::vector<std::string> rest(words.begin() + 1, words.end());
      for (const std::string& word : rest) {
        if (word == "--help" || word == "-h") {
          print_help(command);
          return 0;
        }
      }
      return command.run(palimpsest::app::parse_arguments(command.name, command.positional, command.options, rest));
    }
    if (!command.hidden) names.push_back(command.name);
  }
  throw UsageError(palimpsest::cat("no ", words.front().starts_with("-") ? "option " : "command ", words.front(),
                                   palimpsest::did_you_mean(words.front(), names), "; see palimpsest --help"));
}

// libtorch's messages carry a stack in further lines.
int complain(std::string message, int status) {
  message = message.substr(0, message.find('\n'));
  std::cout.flush();
  std::cerr << "error: " << message << std::endl;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  // What libtorch finds missing on this machine (a kernel library it can do without) is no news to our users.
  ::setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
  // A file that may not grow further is an error of its write, which names the file.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return dispatch(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const UsageError& error) {
    return complain(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", 1);
  } catch (const palimpsest::Error& error) {
    return complain(error.what(), error.code() == palimpsest::ErrorCode::kCancelled ? 130 : 1);
  } catch (const std::exception& error) {
    return complain(error.what(), 1);
  }
}
