// expand_search: a document with [tune] -> one cell of each trial and replicate.
#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "config/cell_maker.hpp"

namespace palimpsest::config {
namespace {

// Draws of one trial until it differs from the earlier ones.
constexpr std::int64_t kAttempts = 1000;

class SearchExpander {
 public:
  SearchExpander(const Document& document, const PluginCatalog& catalog, const Locations& locations, bool check_files)
      : base_(document.root),
        tune_(*base_.find("tune")),
        catalog_(catalog),
        check_{locations, check_files, {}, {}, {}},
        maker_(document, catalog, locations, check_files, out_) {
    base_.erase("tune");
  }

  Expansion expand() {
    if (const Entry* sweep = base_.find("sweep")) {
      check_.add(sweep->key_position, "sweep",
                 "found beside [tune], expected one of the two: a search makes its own cells");
      base_.erase("sweep");
    }
    read();
    const bool readable = check_.problems.empty();
    take_problems();
    // With a search that cannot be made, the file as it stands still shows what is wrong with the rest.
    if (const auto present = maker_.make(base_, {}); present && readable) {
      check(*present);
      take_problems();
    }
    for (std::int64_t trial = 0; out_.problems.empty() && trial < out_.search->trials; ++trial) add_trial(trial);
    sort_problems(out_.problems);
    return std::move(out_);
  }

 private:
  void take_problems() {
    out_.problems.insert(out_.problems.end(), check_.problems.begin(), check_.problems.end());
    check_.problems.clear();
  }

  void read() {
    const Entry* editor = base_.find("editor");
    const Entry* id = editor && editor->value.is<Table>() ? editor->value.as<Table>().find("id") : nullptr;
    if (!id || !id->value.is<std::string>()) {
      check_.add(tune_.key_position, "tune",
                 "found no editor.id, expected [editor] to name the editor that is searched");
      return;
    }
    // An unknown one is the experiment's problem.
    if (const PluginSpec* spec = catalog_.find("editor", id->value.as<std::string>()))
      out_.search = read_search(tune_, *spec, check_);
  }

  // What a search wants of the experiment that it is made of.
  void check(const Experiment& experiment) {
    const auto place = [&](std::string_view table, std::string_view key) {
      return experiment.resolved.find(table)->value.as<Table>().find(key)->value.position;
    };
    const auto& stages = experiment.experiment.stages;
    if (stages != std::vector{StageKind::kEdit}) {
      check_.add(place("experiment", "stages"), "experiment.stages",
                 cat("found [", list_text(stages, [](StageKind stage) { return in_quotes(name_of(stage)); }),
                     "], expected [\"edit\"] with [tune]: editors are chosen by what they write, never by what of it "
                     "survives"));
    }
    if (experiment.facts.edited == 0) {
      check_.add(place("facts", "edited"), "facts.edited", "found the integer 0, expected at least 1 with [tune]");
    }
    for (const auto& part : out_.search->objective) {
      const auto measures = [&](const PluginChoice& metric) { return metric.id == part.metric; };
      if (std::any_of(experiment.metrics.begin(), experiment.metrics.end(), measures)) continue;
      check_.add(out_.search->position, "tune.objective",
                 cat("found ", part.metric, ".", part.column,
                     ", expected a column of a [[metric]] of this file; it has none with id = \"", part.metric, "\""));
    }
    const std::int64_t cells = out_.search->trials * experiment.experiment.replicates;
    if (cells > static_cast<std::int64_t>(kMaxCells)) {
      check_.add(out_.search->position, "tune.trials",
                 cat("found ", out_.search->trials, " trials x ", experiment.experiment.replicates,
                     " replicates, expected at most ", kMaxCells, " cells"));
    }
  }

  void add_trial(std::int64_t trial) {
    const Search& search = *out_.search;
    for (std::int64_t attempt = 0; attempt < (trial == 0 ? 1 : kAttempts); ++attempt) {
      Table overlay;
      overlay.set("editor", Value{search.draw(trial, attempt), search.position});
      auto made = maker_.make(base_, overlay);
      if (!made) return;
      Cell cell;
      cell.coordinates.emplace_back("trial", std::to_string(trial));
      for (const auto& parameter : search.parameters) {
        const auto value = made->editor.parameters.find(parameter.spec.name);
        cell.coordinates.emplace_back("editor." + parameter.spec.name,
                                      value == made->editor.parameters.end() ? "" : value_text(value->second, false));
      }
      cell.experiment = std::move(*made);
      // The values of an earlier trial tell nothing new.
      if (maker_.add(std::move(cell), cat("trial=", trial < 10 ? "0" : "", trial)).empty()) return;
    }
    out_.problems.push_back({search.position, "tune.trials",
                             cat("found ", search.trials, " trials, expected at most ", trial, ": ", kAttempts,
                                 " draws from [tune.search] gave no combination that is not there already")});
  }

  Expansion out_;
  Table base_;
  const Entry tune_;
  const PluginCatalog& catalog_;
  Check check_;
  CellMaker maker_;
};

}  // namespace

Expansion expand_search(const Document& document, const PluginCatalog& catalog, const Locations& locations,
                        bool check_files) {
  return SearchExpander(document, catalog, locations, check_files).expand();
}

}  // namespace palimpsest::config
