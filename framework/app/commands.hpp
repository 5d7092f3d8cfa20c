// The commands: one file of commands/ each, joined in main.cpp's table. A command returns the exit status and throws
// Error or UsageError, which main() turns into a line on standard error. One command a process.
#pragma once

#include "app/arguments.hpp"

namespace palimpsest::app {

int run_command(const Arguments& arguments);
int plan_command(const Arguments& arguments);
int validate_command(const Arguments& arguments);
int tune_command(const Arguments& arguments);
int plugins_command(const Arguments& arguments);
int show_command(const Arguments& arguments);
int prepare_command(const Arguments& arguments);
int bench_command(const Arguments& arguments);
int new_command(const Arguments& arguments);
int check_plugin_command(const Arguments& arguments);
// `palimpsest --version`
int version_command();
// Not listed: started by the program itself.
int worker_command(const Arguments& arguments);
int probe_plugin_command(const Arguments& arguments);
int check_plugin_here_command(const Arguments& arguments);
int ask_plugin_command(const Arguments& arguments);

}  // namespace palimpsest::app
