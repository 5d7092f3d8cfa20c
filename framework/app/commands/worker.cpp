// The hidden command that computes one node, in a process that the supervisor of `run` started.
#include "experiment/worker.hpp"

#include <ATen/Parallel.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>

#include "app/commands.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "base/progress.hpp"
#include "experiment/runner.hpp"
#include "experiment/supervisor_worker.hpp"

namespace palimpsest::app {
namespace {

void compute(const Arguments& arguments) {
  const config::Document document = config::load_document(arguments.positional.front(), arguments.values("set"));
  const Setup setup(document);
  experiment::Environment environment = setup.environment();
  environment.device = arguments.value("device");
  const experiment::Plan plan(document, environment);
  if (plan.digest() != arguments.value("plan-digest")) {
    fail(ErrorCode::kInvalidArgument,
         "the experiment changed while it ran (its file, a file it names, or a plugin); run it again");
  }
  const experiment::PlanNode& node = plan.find(arguments.value("node"));
  const int threads = static_cast<int>(plan.experiment().run.threads);
  at::set_num_threads(threads);
  at::set_num_interop_threads(1);
  const FileLock lock = experiment::node_lock(experiment::lock_folder(*environment.store), node.id);
  if (plan.is_done(node)) return;
  experiment::run_node(plan, node, environment);
  if (!plan.is_done(node)) {
    fail(ErrorCode::kInternal, node.label, ": computed, and its result is not where it belongs");
  }
}

int complain(const std::string& message) {
  std::cerr << "error: " << message << std::endl;
  tell_supervisor("error", message.substr(0, message.find('\n')));
  std::fflush(nullptr);
  // After an error of HDF5 or of libtorch, what runs at a normal exit may hang or crash, and would hide the message.
  std::_Exit(1);
}

}  // namespace

int worker_command(const Arguments& arguments) {
  try {
    experiment::enter_worker();
    compute(arguments);
    return 0;
  } catch (const std::bad_alloc&) {
    return complain("out of memory");
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}

}  // namespace palimpsest::app
