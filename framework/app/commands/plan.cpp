#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>

#include "app/checked.hpp"
#include "app/commands.hpp"
#include "app/estimate.hpp"
#include "app/memory_advice.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "base/progress.hpp"

namespace palimpsest::app {
namespace {

void print_cells(const experiment::Plan& plan) {
  std::cout << "Cells (" << plan.cells().size() << "):\n";
  for (std::size_t i = 0; i < plan.cells().size(); ++i) {
    const config::Cell& cell = plan.cells()[i];
    const config::Experiment& e = cell.experiment;
    std::cout << "  " << cell.name << ": ";
    if (plan.unedited(i)) {
      std::cout << "nothing is edited; " << e.facts.edited << " facts to edit and " << e.facts.intrinsic
                << " intrinsic ones are measured; stages";
    } else {
      std::cout << e.editor.id << " edits " << e.facts.edited << " facts, beside " << e.facts.intrinsic
                << " intrinsic ones; stages";
    }
    for (const auto stage : e.experiment.stages) std::cout << ' ' << config::name_of(stage);
    if (!e.task.id.empty()) std::cout << "; task " << e.task.id;
    if (!e.freeze_policy.id.empty()) std::cout << "; freeze policy " << e.freeze_policy.id;
    std::cout << '\n';
  }
}

// The table or plugin that an ingredient of a key belongs to: "stage.freeze_policy.first" -> "stage.freeze_policy".
std::string owner_of(const std::string& ingredient) {
  for (const std::string_view detail : {" library", " version"}) {
    if (ingredient.ends_with(detail)) return ingredient.substr(0, ingredient.size() - detail.size());
  }
  return ingredient.substr(0, ingredient.rfind('.'));
}

// Why a node has to run, for people: digests and long texts by their names alone, and where much differs from what is
// stored, only what it is about.
std::string reason_of(const std::vector<experiment::Difference>& differences) {
  constexpr std::size_t kLongest = 60, kMostInDetail = 3;
  std::vector<std::string> words;
  for (const auto& [ingredient, values] : differences) {
    std::string word = differences.size() > kMostInDetail ? owner_of(ingredient) : ingredient;
    if (differences.size() <= kMostInDetail && !values.empty() && ingredient.size() + 2 + values.size() <= kLongest)
      word += ": " + values;
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(std::move(word));
  }
  std::string text;
  for (const auto& word : words) text += (text.empty() ? " (the nearest stored one differs in " : "; ") + word;
  return text.empty() ? text : text + ")";
}

// The most that a worker of any cell wants.
std::string memory_needed(const experiment::Plan& plan, const Checked& checked) {
  Bytes most;
  std::string where;
  for (std::size_t i = 0; i < plan.cells().size(); ++i) {
    for (const MemoryPhase& phase : memory_of(sizes_of(plan, checked, i))) {
      const Bytes total = phase.total();
      if (total.host > most.host) where = phase.name;
      most = {std::max(most.host, total.host), std::max(most.device, total.device)};
    }
  }
  std::string text = cat("about ", std::llround(most.host / (1 << 20)), " MiB of memory each (most in ", where, ")");
  if (most.device > 0) text += cat(" and ", memory_text(most.device), " of the device");
  return text;
}

// Cells of like needs are told together.
void print_fit(const experiment::Plan& plan, const Checked& checked, double available) {
  std::vector<std::pair<std::string, std::string>> told;  // advice, names
  for (std::size_t i = 0; i < plan.cells().size(); ++i) {
    const std::string text = advice(sizes_of(plan, checked, i), available);
    const auto same = std::find_if(told.begin(), told.end(), [&](const auto& one) { return one.first == text; });
    if (same == told.end()) {
      told.emplace_back(text, plan.cells()[i].name);
    } else {
      same->second += "; " + plan.cells()[i].name;
    }
  }
  std::cout << "\nOf " << memory_text(available) << " a worker:\n";
  for (const auto& [text, names] : told) std::cout << "  " << names << '\n' << text;
}

void print_estimate(const experiment::Plan& plan, const Checked& checked, const Estimate& estimate, double seconds,
                    std::size_t to_run) {
  const config::RunSection& run = plan.experiment().run;
  std::cout << std::fixed << std::setprecision(0);
  if (to_run == 0) {
    std::cout << "\nNothing is left to compute.\n";
    return;
  }
  // Few nodes keep few workers busy: the jobs are counted only as far as there are nodes for them.
  const double at_once = std::min(static_cast<double>(run.jobs), static_cast<double>(to_run));
  std::cout
      << "\nEstimate: " << duration_text(seconds / at_once) << " with " << run.jobs
      << (run.jobs == 1 ? " worker" : " workers") << " of " << run.threads
      << (run.threads == 1 ? " thread" : " threads") << ", " << memory_needed(plan, checked)
      << ".\n(Counted work over the " << estimate.gemm_rate / 1e9
      << " GFLOP/s that matrix products reach on these processors; right to a factor of two on an idle machine.)\n";
  if (on_device(plan.experiment())) std::cout << "(A GPU is faster; how much, is not estimated.)\n";
}

}  // namespace

int plan_command(const Arguments& arguments) {
  const std::string& file = arguments.positional.front();
  const config::Document document = config::load_document(file, arguments.values("set"));
  const auto available = arguments.bytes("device-memory");
  const Setup setup(document);
  const Checked checked = check(document, setup, {.device = false, .weights = !available});
  if (const int status = report_problems(checked, file); status != 0) return status;

  const experiment::Plan& plan = *checked.plan;
  const Estimate times = estimate(plan, checked);
  print_cells(plan);
  std::vector<bool> done;
  for (const auto& node : plan.graph().nodes()) done.push_back(plan.is_done(plan.find(node.id)));
  const auto needs = experiment::select(plan.graph(), done, std::nullopt);
  std::size_t stored = 0, to_run = 0;
  double seconds = 0;
  std::cout << "\nNodes:\n";
  for (std::size_t i = 0; i < needs.size(); ++i) {
    const experiment::Node& node = plan.graph().nodes()[i];
    std::string reason;
    if (needs[i] == experiment::Need::kDone) {
      ++stored;
      std::cout << "  stored      ";
    } else if (needs[i] == experiment::Need::kWanted) {
      ++to_run;
      seconds += times.seconds.at(node.id);
      std::cout << "  to run      ";
      reason = reason_of(plan.explain_miss(plan.find(node.id)));
    } else {
      std::cout << "  not needed  ";
    }
    std::cout << node.label << reason << '\n';
  }
  std::cout << stored << " stored, " << to_run << " to run. Results: " << plan.experiment().experiment.output.string()
            << '\n';
  print_estimate(plan, checked, times, seconds, to_run);
  if (available) print_fit(plan, checked, *available);
  return 0;
}

}  // namespace palimpsest::app
