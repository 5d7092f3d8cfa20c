#include "experiment/trials.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "analysis/statistics.hpp"
#include "base/error.hpp"
#include "base/layout.hpp"
#include "base/text.hpp"

namespace palimpsest::experiment {
namespace {

using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool is_number(const config::KeySpec& spec) {
  return spec.type == config::Type::integer || spec.type == config::Type::number;
}

double number_of(const config::Value& value) {
  if (value.is<double>()) return value.as<double>();
  return value.is<std::int64_t>() ? static_cast<double>(value.as<std::int64_t>()) : kNaN;
}

std::string coordinate(const config::Cell& cell, const std::string& key) {
  for (const auto& [name, value] : cell.coordinates) {
    if (name == key) return value;
  }
  fail(ErrorCode::kInternal, "the cell ", cell.name, " of a search has no coordinate ", key);
}

// Trials in order, each with one of its cells.
std::map<std::int64_t, const config::Cell*> trials_of(const std::vector<config::Cell>& cells) {
  std::map<std::int64_t, const config::Cell*> trials;
  for (const auto& cell : cells) trials.emplace(std::stoll(coordinate(cell, "trial")), &cell);
  return trials;
}

// Of one column over the edited facts of all replicates, right after the edit, by trial.
std::map<std::int64_t, analysis::Mean> means_of(const config::ObjectivePart& part,
                                                const analysis::Measurements& measurements) {
  const analysis::MetricRows* metric = measurements.metric(part.metric);
  if (metric == nullptr) fail(ErrorCode::kNotFound, "tune.objective: the results have no metric ", part.metric);
  std::vector<std::string> declared;
  for (const auto& column : metric->columns) declared.push_back(column.name);
  require_column(part, declared);
  const auto configurations = analysis::configurations_of(measurements.cells);
  const auto& trials = measurements.cells.values<std::string>("at_trial");
  std::map<std::int64_t, analysis::Mean> means;
  for (const auto& [key, series] : analysis::series_of(*metric, part.column, measurements.cells, configurations)) {
    if (key.second != "edited" || series.empty()) continue;
    const auto point = series.edited(series.points.rbegin()->first);
    const auto* replicates = point ? series.at(*point) : nullptr;
    if (replicates == nullptr) continue;
    analysis::Mean& mean = means[std::stoll(trials[configurations[key.first].rows.front()])];
    for (const auto& [replicate, values] : *replicates) {
      for (const auto& [unit, value] : values) mean.add(value);
    }
  }
  return means;
}

// Columns of two metrics may have one name.
std::vector<std::string> column_names(const std::vector<config::ObjectivePart>& objective) {
  std::map<std::string, int> uses;
  for (const auto& part : objective) ++uses[part.column];
  std::vector<std::string> names;
  for (const auto& part : objective)
    names.push_back(uses[part.column] > 1 ? cat(part.metric, "_", part.column) : part.column);
  return names;
}

std::string short_text(double value, const char* format = "%.3f") {
  return std::isnan(value) ? "not measured" : number_text(format, value);
}

std::string objective_text(const std::vector<config::ObjectivePart>& objective) {
  return list_text(objective, [](const auto& part) { return cat(part.metric, ".", part.column); });
}

std::string scores_of(const Table& trials, const std::vector<std::string>& names, std::size_t row) {
  std::string out = cat("score ", short_text(trials.values<double>("score")[row]));
  const auto part = [&](const std::string& name) {
    return cat(name, " ", short_text(trials.values<double>(name)[row]));
  };
  return cat(out, " (", list_text(names, part), ")");
}

}  // namespace

void require_column(const config::ObjectivePart& part, const std::vector<std::string>& columns) {
  if (std::find(columns.begin(), columns.end(), part.column) != columns.end()) return;
  const std::string near = did_you_mean(part.column, columns);
  fail(ErrorCode::kNotFound, "tune.objective: found ", part.metric, ".", part.column,
       ", expected a column that the metric ", part.metric, " declares",
       near.empty() ? ": " + list_text(columns) : near);
}

Table trials_table(const config::Search& search, const std::vector<config::Cell>& cells,
                   const analysis::Measurements& measurements) {
  const std::string objective = objective_text(search.objective);
  Table table{"/trials", "one trial of the search of the editor's parameters; 0 is the editor as the file has it", {}};
  const auto numbers = [&](const std::string& name, const std::string& unit, const std::string& definition) {
    table.columns.push_back({name, unit, definition, std::vector<double>()});
  };
  table.columns.push_back({"trial", "1", "number of the trial", std::vector<std::int64_t>()});
  for (const auto& parameter : search.parameters) {
    const auto& spec = parameter.spec;
    const std::string definition = cat("the editor's parameter ", spec.name, ": ", spec.doc);
    if (is_number(spec)) {
      numbers(cat("at_", spec.name), spec.unit, definition);
    } else {
      table.columns.push_back({cat("at_", spec.name), spec.unit, definition, std::vector<std::string>()});
    }
  }
  const auto names = column_names(search.objective);
  std::vector<std::map<std::int64_t, analysis::Mean>> means;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& part = search.objective[i];
    means.push_back(means_of(part, measurements));
    numbers(names[i], "1",
            cat("mean of ", part.metric, ".", part.column, " over the edited facts right after the edit"));
  }
  numbers("score", "1", cat("harmonic mean of ", objective, "; missing until all replicates of the trial are done"));
  table.columns.push_back({"facts", "fact",
                           "edited facts, added over replicates, of the part of the score that has fewest",
                           std::vector<std::int64_t>()});
  table.columns.push_back({"best", "", "the highest score; of equal ones the first", std::vector<results::Bool>()});

  std::map<std::int64_t, std::size_t> planned, done;
  for (const auto& cell : cells) ++planned[std::stoll(coordinate(cell, "trial"))];
  for (const auto& trial : measurements.cells.values<std::string>("at_trial")) ++done[std::stoll(trial)];
  for (const auto& [trial, cell] : trials_of(cells)) {
    if (!done.contains(trial)) continue;
    // A trial that failed on some lots is not compared with trials that were judged on all.
    const bool whole = done[trial] == planned[trial];
    std::vector<results::Value> row = {trial};
    for (const auto& parameter : search.parameters) {
      const auto value = cell->experiment.editor.parameters.find(parameter.spec.name);
      const bool set = value != cell->experiment.editor.parameters.end();
      if (is_number(parameter.spec)) {
        row.emplace_back(set ? number_of(value->second) : kNaN);
      } else {
        row.emplace_back(set ? config::inline_toml(value->second) : std::string());
      }
    }
    std::vector<double> parts;
    std::int64_t facts = std::numeric_limits<std::int64_t>::max();
    for (auto& of_part : means) {
      parts.push_back(of_part[trial].value());
      facts = std::min(facts, of_part[trial].n);
    }
    for (const double part : parts) row.emplace_back(part);
    row.emplace_back(whole ? analysis::harmonic_mean(parts) : kNaN);
    row.emplace_back(facts);
    row.emplace_back(false);
    table.append_row(row);
  }
  if (const auto best = best_trial(table))
    std::get<std::vector<results::Bool>>(table.columns.back().values)[*best] = results::Bool(true);
  return table;
}

std::optional<std::size_t> best_trial(const Table& trials) {
  const auto& scores = trials.values<double>("score");
  std::optional<std::size_t> best;
  for (std::size_t row = 0; row < scores.size(); ++row) {
    if (!std::isnan(scores[row]) && (!best || scores[row] > scores[*best])) best = row;
  }
  return best;
}

std::string best_as_toml(const config::Search& search, const std::vector<config::Cell>& cells, const Table& trials,
                         const config::PluginSpec& editor, const std::string& file, const std::string& version) {
  const auto best = best_trial(trials);
  if (!best) {
    fail(ErrorCode::kNumeric,
         "no trial has a score: all its replicates must be done, and each part of tune.objective measured for some "
         "edited fact; S of CounterFact wants true targets, test paraphrases and neighbourhood prompts");
  }
  const auto& numbers = trials.values<std::int64_t>("trial");
  const config::Cell& cell = *trials_of(cells).at(numbers[*best]);
  const config::Experiment& e = cell.experiment;
  const auto names = column_names(search.objective);
  const std::string objective = objective_text(search.objective);

  std::string text = cat("Found by `palimpsest tune ", file, "` (Palimpsest ", version, "): the best of ",
                         trials.rows(), " trials, seed ", search.seed, ", by the harmonic mean of ", objective,
                         " right after the edit, over ", trials.values<std::int64_t>("facts")[*best], " facts of ",
                         e.facts.file.given, " (rows from ", e.facts.first, " on");
  if (e.facts.limit > 0) text += cat(", ", e.facts.limit, " of them");
  text += cat("; scope ", e.edit.scope, "), in the model ", e.model.path.given, ". Trial ", numbers[*best], ": ",
              scores_of(trials, names, *best), ".");
  const auto present = std::find(numbers.begin(), numbers.end(), 0);
  if (present != numbers.end() && numbers[*best] != 0) {
    text +=
        cat(" Before, trial 0: ", scores_of(trials, names, static_cast<std::size_t>(present - numbers.begin())), ".");
  }
  text += " No fine-tuned model was looked at.";
  if (!search.apart_from.empty()) {
    text += " None of these rows is one of";
    for (std::size_t i = 0; i < search.apart_from.size(); ++i)
      text += cat(i == 0 ? " " : ", ", search.apart_from[i].as<std::string>());
    text += "; subjects may be shared, and neighbourhood prompts may ask about facts of theirs.";
  }

  std::string out = wrapped(text, "# ", "# ") + cat("[defaults.editor.", config::join_key({editor.id}), "]\n");
  const auto searched = [&](const config::KeySpec& spec) {
    return std::any_of(search.parameters.begin(), search.parameters.end(),
                       [&](const auto& parameter) { return parameter.spec.name == spec.name; });
  };
  const auto& resolved = e.resolved.find("editor")->value.as<config::Table>();
  for (const config::KeySpec& spec : editor.parameters) {
    const config::Entry* entry = resolved.find(spec.name);
    if (entry == nullptr) continue;
    const bool own = spec.default_value && config::same(entry->value, *spec.default_value);
    if (!own || searched(spec)) out += cat(spec.name, " = ", config::inline_toml(entry->value), "\n");
  }
  return out;
}

}  // namespace palimpsest::experiment
