#include "app/checked.hpp"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <span>
#include <sstream>
#include <system_error>

#include "base/error.hpp"
#include "config/disjoint.hpp"
#include "data/text_source.hpp"
#include "experiment/catalog.hpp"
#include "experiment/devices.hpp"
#include "experiment/moments.hpp"
#include "experiment/trials.hpp"
#include "model/model.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::app {
namespace fs = std::filesystem;
namespace {

class Checker {
 public:
  Checker(const config::Document& document, const Setup& setup, const CheckOptions& options, Checked& found)
      : document_(document), setup_(setup), options_(options), found_(found) {}

  void run() {
    const auto expansion = config::expand_all(document_, *setup_.environment().catalog, setup_.environment().locations);
    add(config::text_of(expansion.problems));
    for (const auto& problem : setup_.catalog().problems()) add(problem);
    if (expansion.search && found_.problems.empty()) {
      add(config::text_of(config::shared_rows(*expansion.search, expansion.cells, *setup_.environment().catalog,
                                              setup_.environment().locations)));
    }
    if (!found_.problems.empty()) return;
    for (const auto& cell : expansion.cells) {
      const config::Experiment& e = cell.experiment;
      if (once(e.model.path.path)) attempt([&] { check_model(e); });
      if (options_.device && once(e.model.device))
        attempt([&] { experiment::check_device(e.model.device, "model.device"); });
      if (once(cat(e.facts.file.path.string(), e.facts.format, e.facts.zsre_target))) attempt([&] { check_facts(e); });
      if (once(cat(e.facts.file.path.string(), "|", e.facts.first, "|", e.facts.limit, "|", e.facts.edited, "|",
                   e.facts.intrinsic)))
        attempt([&] { check_counts(e.facts); });
      if (once(cat(e.facts.file.path.string(), e.facts.format, e.facts.zsre_target, "|", e.facts.first, "|",
                   e.facts.limit, "|", e.facts.selection, "|", e.facts.known, "|", e.facts.min_probability > 0)))
        attempt([&] { check_true_answers(e); });
      check_texts(e);
    }
    if (expansion.search) check_objective(*expansion.search, expansion.cells.front().experiment);
    attempt([&] { check_output(expansion.cells.front().experiment.experiment.output); });
    if (!found_.problems.empty()) return;
    attempt([&] { found_.plan = std::make_unique<experiment::Plan>(document_, setup_.environment()); });
    if (found_.plan) check_moments();
    if (found_.problems.empty()) {
      warn_without_control(expansion.cells);
    } else {
      found_.plan.reset();
    }
  }

 private:
  void add(const std::string& lines) {
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);) {
      if (!line.empty() && std::find(found_.problems.begin(), found_.problems.end(), line) == found_.problems.end())
        found_.problems.push_back(line);
    }
  }

  // Each task's edited, fine-tuned cells want a cell that is fine-tuned without an edit beside them.
  void warn_without_control(const std::vector<config::Cell>& cells) {
    std::set<std::string> edited, control;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (!cells[i].experiment.experiment.has(config::StageKind::kFinetune)) continue;
      (found_.plan->unedited(i) ? control : edited).insert(cells[i].experiment.task.id);
    }
    for (const auto& task : edited) {
      if (control.contains(task)) continue;
      found_.warnings.push_back(
          cat("no cell with the task ", task,
              " is the unedited control: what fine-tuning makes the model forget cannot be told from what the edit "
              "damaged; add a variant with editor = { id = \"none\" }"));
    }
  }

  bool once(const std::string& what) { return seen_.insert(what).second; }

  template <typename Work>
  void attempt(const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      add(error.what());
    }
  }

  void check_model(const config::Experiment& e) {
    const fs::path& folder = e.model.path.path;
    ModelSizes& sizes = found_.models[folder.string()];
    if (!options_.weights && !fs::exists(folder / "model.safetensors") &&
        !fs::exists(folder / "model.safetensors.index.json")) {
      sizes.config = model::read_config(folder);
      sizes.stored = stored_weights(sizes.config);
      found_.warnings.push_back(cat(folder.string(), " has no weights: sizes are those of its config.json"));
      return;
    }
    model::OpenOptions options;
    options.in_place = true;
    const model::Model opened = model::open_model(folder, options);
    if (opened.tokenizer == nullptr)
      fail(ErrorCode::kNotFound, folder.string(), " has no tokenizer.json; expected one beside config.json");
    sizes = {opened.config, stored_weights(opened.parameters)};
  }

  // Before the trials, which may take hours.
  void check_objective(const config::Search& search, const config::Experiment& e) {
    for (const auto& part : search.objective) {
      const auto choice = std::find_if(e.metrics.begin(), e.metrics.end(),
                                       [&](const config::PluginChoice& metric) { return metric.id == part.metric; });
      attempt([&] {
        try {
          experiment::require_column(
              part, experiment::ask_columns(setup_.environment().registry->find("metric", choice->id),
                                            experiment::parameter_values(*choice), setup_.environment().needs));
        } catch (const Error& error) {
          rethrow_with_context(error, search.position.text());
        }
      });
    }
  }

  void check_facts(const config::Experiment& e) {
    data::FactOptions options;
    options.format = e.facts.format;
    if (!e.facts.zsre_target.empty()) options.options["zsre_target"] = e.facts.zsre_target;
    found_.facts.insert_or_assign(e.facts.file.path.string(), data::load_facts(e.facts.file.path, options));
  }

  void check_counts(const config::FactsSection& facts) {
    const auto file = found_.facts.find(facts.file.path.string());
    if (file == found_.facts.end()) return;
    std::int64_t rows = std::max<std::int64_t>(0, static_cast<std::int64_t>(file->second.facts.size()) - facts.first);
    if (facts.limit > 0) rows = std::min(rows, facts.limit);
    if (rows < facts.edited + facts.intrinsic) {
      fail(ErrorCode::kInvalidArgument, facts.file.given, " gives ", rows,
           " facts to draw from (facts.first = ", facts.first, ", facts.limit = ", facts.limit,
           "); facts.edited + facts.intrinsic = ", facts.edited + facts.intrinsic, " are wanted");
    }
  }

  // The margin of a matched control is that of its true answer. Where facts need not be known, one without may be
  // drawn.
  void check_true_answers(const config::Experiment& e) {
    const config::FactsSection& f = e.facts;
    const auto file = found_.facts.find(f.file.path.string());
    if (f.selection != "matched" || f.known || f.min_probability > 0 || file == found_.facts.end()) return;
    const std::span<const data::Fact> all = file->second.facts;
    const std::size_t first = std::min(all.size(), static_cast<std::size_t>(f.first));
    const std::size_t rows = f.limit > 0 ? static_cast<std::size_t>(f.limit) : all.size();
    const std::span<const data::Fact> considered = all.subspan(first, std::min(rows, all.size() - first));
    const auto has_none = [](const data::Fact& fact) { return fact.target_true.empty(); };
    const auto found = std::find_if(considered.begin(), considered.end(), has_none);
    if (found == considered.end()) return;
    const config::Entry* section = e.resolved.find("facts");
    const config::Entry* key = section->value.as<config::Table>().find("selection");
    fail(ErrorCode::kInvalidArgument, key->value.position.text(),
         ": facts.selection: found \"matched\" with facts.known = false, expected a true answer of every fact: "
         "controls are matched by its margin; the fact ",
         found->id, " of ", f.file.given, " has none (", std::count_if(considered.begin(), considered.end(), has_none),
         " of the ", considered.size(), " facts considered)");
  }

  // What plugins will open. The columns that they want are theirs to know.
  void check_texts(const config::Experiment& e) {
    for (const auto& [kind, choice] : e.plugins()) {
      const config::PluginSpec* plugin = setup_.catalog().find(kind, choice->id);
      if (plugin == nullptr) continue;
      for (const config::KeySpec& parameter : plugin->parameters) {
        const auto value = choice->parameters.find(parameter.name);
        if (parameter.type != config::Type::path || value == choice->parameters.end()) continue;
        const fs::path file = value->second.as<std::string>();
        std::error_code unreadable;
        if (!data::text_format(file) || !once("text|" + file.string()) || !fs::is_regular_file(file, unreadable))
          continue;
        attempt([&] { data::check_text_source(file); });
      }
    }
  }

  // What second moments that are not stored yet are made of.
  void check_moments() {
    for (const auto& node : found_.plan->nodes()) {
      if (node.kind != experiment::NodeKind::kSecondMoments || found_.plan->is_done(node)) continue;
      const config::Experiment& e = found_.plan->cells()[node.cell].experiment;
      const config::SecondMomentsSection& moments = e.second_moments;
      if (moments.import.set()) {
        const std::int64_t width = found_.models.at(e.model.path.path.string()).config.mlp_width;
        attempt([&] { experiment::check_import(moments.import.path, node.layers, width); });
      } else if (once("documents|" + moments.file.path.string())) {
        attempt([&] { experiment::read_documents(moments); });
      }
    }
  }

  // The folder is made later, by the run; here the nearest one that exists is looked at.
  static void check_output(const fs::path& output) {
    fs::path folder = output;
    while (!fs::exists(folder) && folder.has_relative_path()) folder = folder.parent_path();
    if (!fs::is_directory(folder)) {
      fail(ErrorCode::kIo, "experiment.output is ", output.string(), ", and ", folder.string(),
           " is not a folder; expected a folder, or a place to make one");
    }
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
      fail(ErrorCode::kIo, "experiment.output is ", output.string(), ", and ", folder.string(),
           " cannot be written to; choose another folder with --set experiment.output=...");
    }
  }

  const config::Document& document_;
  const Setup& setup_;
  const CheckOptions& options_;
  Checked& found_;
  std::set<std::string> seen_;
};

}  // namespace

Checked check(const config::Document& document, const Setup& setup, const CheckOptions& options) {
  Checked found;
  Checker(document, setup, options, found).run();
  return found;
}

int report_problems(const Checked& checked, const std::string& file) {
  const auto& problems = checked.problems;
  for (const auto& warning : checked.warnings) std::cerr << "warning: " << file << ": " << warning << '\n';
  if (problems.empty()) return 0;
  for (const auto& problem : problems) std::cerr << problem << '\n';
  std::cerr << "error: " << file << " has " << problems.size() << (problems.size() == 1 ? " problem" : " problems")
            << std::endl;
  return 1;
}

}  // namespace palimpsest::app
