#include "experiment/contrasts.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

#include "base/error.hpp"
#include "experiment/contrasts_compare.hpp"

namespace palimpsest::experiment {
namespace {

using results::Bool;
using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// nat/token; above it two fine-tunings are not called equally good.
constexpr double kEqualLoss = 0.02;

// The primary outcomes, all_top1 and margin, found by their columns' names in whatever metric declares them.
struct Primary {
  const MetricRows* metric;
  const MetricColumn* column;
  bool retention;  // else the change
};

std::vector<Primary> primaries(const Measurements& measurements) {
  std::vector<Primary> found;
  for (const auto& metric : measurements.metrics) {
    const auto* answers = metric.find("all_top1");
    const auto* margin = metric.find("margin");
    if (answers == nullptr || answers->aggregate != "rate" || answers->baseline == "none") continue;
    found.push_back({&metric, answers, true});
    if (margin != nullptr && margin->aggregate == "mean") found.push_back({&metric, margin, false});
    break;
  }
  return found;
}

Table empty_contrasts() {
  using Texts = std::vector<std::string>;
  using Reals = std::vector<double>;
  using Whole = std::vector<std::int64_t>;
  return {
      "/contrasts",
      "one difference, a minus b, of one primary outcome at the last measuring point",
      {{"contrast", "", "configurations (the same facts) or roles (other facts in the same models)", Texts()},
       {"configuration_a", "", "configuration of a", Texts()},
       {"configuration_b", "", "configuration of b", Texts()},
       {"role_a", "", "role of the facts of a", Texts()},
       {"role_b", "", "role of the facts of b", Texts()},
       {"differs_in", "", "what tells a from b: variant, a swept key's column, or role", Texts()},
       {"metric", "", "id of the metric", Texts()},
       {"outcome", "", "column of the table /metrics/<metric>", Texts()},
       {"measure", "",
        "retention (share of what held at the baseline that still holds) or change (later minus baseline)", Texts()},
       {"measure_unit", "", "unit of the values and the difference", Texts()},
       {"baseline", "", "stage of the reference: edited, or base where nothing was edited before", Texts()},
       {"stage_a", "", "stage of the last measuring point of a", Texts()},
       {"stage_b", "", "stage of the last measuring point of b", Texts()},
       {"paired", "", "whether the same facts are compared", std::vector<Bool>()},
       {"n_facts_a", "facts", "different facts of a in the comparison", Whole()},
       {"n_facts_b", "facts", "different facts of b in the comparison", Whole()},
       {"n_replicates", "replicates", "replicates in the comparison", Whole()},
       {"value_a", "that of measure_unit", "mean over the compared facts and replicates, of a", Reals()},
       {"value_b", "that of measure_unit", "mean over the compared facts and replicates, of b", Reals()},
       {"difference", "that of measure_unit", "value_a minus value_b", Reals()},
       {"difference_low", "that of measure_unit", "lower end of the difference's 95 % interval", Reals()},
       {"difference_high", "that of measure_unit", "upper end of the difference's 95 % interval", Reals()},
       {"interval_levels", "",
        "what the interval's bootstrap draws: replicates and facts, or facts only (one replicate)", Texts()},
       {"p", "1",
        "two-sided permutation p: signs of the facts' differences where paired, else roles exchanged within "
        "replicates",
        Reals()},
       {"p_adjusted", "1", "p after Holm's adjustment over this table", Reals()},
       {"smallest_detectable", "that of measure_unit",
        "difference that this many facts would show with 80 % power at 5 %, by a normal approximation", Reals()},
       {"validation_loss_a", "nat/token", "mean validation loss after fine-tuning over the replicates of a", Reals()},
       {"validation_loss_b", "nat/token", "mean validation loss after fine-tuning over the replicates of b", Reals()},
       {"validation_loss_difference", "nat/token", "validation_loss_a minus validation_loss_b", Reals()},
       {"headline", "", "no cell of a or b failed the quality gate", std::vector<Bool>()},
       {"verdict", "", "more, less, no detectable difference, or not measured: read off the interval", Texts()},
       {"sentence", "", "the verdict in words", Texts()},
       {"note", "", "cells that failed the quality gate, and unequal validation losses", Texts()}}};
}

double loss_of(const Table& cells, const Configuration& configuration) {
  std::vector<double> losses;
  for (const auto row : configuration.rows) {
    const double loss = cells.values<double>("validation_loss_after")[row];
    if (!std::isnan(loss)) losses.push_back(loss);
  }
  return mean_of(losses);
}

// "" when all its cells passed.
std::string failures_of(const Table& gate, const Configuration& configuration) {
  const auto& names = gate.values<std::string>("configuration");
  const auto& passed = gate.values<Bool>("passed");
  std::string failed;
  for (std::size_t row = 0; row < names.size(); ++row) {
    if (names[row] != configuration.name || passed[row]) continue;
    failed += cat(failed.empty() ? "" : "; ", gate.values<std::string>("cell")[row],
                  " failed the quality gate: ", gate.values<std::string>("reason")[row]);
  }
  return failed;
}

void add_note(std::string& to, const std::string& note) {
  if (note.empty()) return;
  if (!to.empty()) to += "; ";
  to += note;
}

std::string facts_of(const std::string& role) { return role.empty() ? "all facts" : role + " facts"; }

class Builder {
 public:
  Builder(const Measurements& measurements, const Table& gate, const SummaryOptions& options)
      : measurements_(&measurements),
        gate_(&gate),
        options_(&options),
        configurations_(configurations_of(measurements.cells)),
        table_(empty_contrasts()) {}

  Table build() {
    const auto pairs = pairs_of(measurements_->cells, configurations_);
    for (const auto& primary : primaries(*measurements_)) {
      std::map<SeriesKey, Last> last;
      std::set<std::string> roles;
      for (const auto& [key, series] :
           series_of(*primary.metric, primary.column->name, measurements_->cells, configurations_)) {
        last[key] = last_of(series, primary.retention);
        roles.insert(key.second);
      }
      for (std::size_t i = 0; i < configurations_.size(); ++i) {
        const auto edited = last.find({i, "edited"});
        const auto intrinsic = last.find({i, "intrinsic"});
        if (edited == last.end() || intrinsic == last.end()) continue;
        add(primary, {i, "edited"}, {i, "intrinsic"}, edited->second, intrinsic->second, "role");
      }
      for (const auto& pair : pairs) {
        for (const auto& role : roles) {
          const auto a = last.find({pair.a, role});
          const auto b = last.find({pair.b, role});
          if (a == last.end() || b == last.end()) continue;
          add(primary, a->first, b->first, a->second, b->second, pair.differs_in);
        }
      }
    }
    auto& adjusted = std::get<std::vector<double>>(column("p_adjusted").values);
    adjusted = holm_adjusted(table_.values<double>("p"));
    return std::move(table_);
  }

 private:
  results::Column& column(std::string_view name) {
    return *std::find_if(table_.columns.begin(), table_.columns.end(), [&](const auto& c) { return c.name == name; });
  }

  void add(const Primary& primary, const SeriesKey& key_a, const SeriesKey& key_b, const Last& a, const Last& b,
           const std::string& differs_in) {
    // Nothing came before the last point: there is nothing to retain.
    if (a.baseline.empty() || b.baseline.empty()) return;
    const bool roles = key_a.first == key_b.first;
    const auto& configuration_a = configurations_[key_a.first];
    const auto& configuration_b = configurations_[key_b.first];
    // Nothing was written into the unedited control, so its edited facts have nothing to lose.
    if (key_a.second == "edited" && (configuration_a.unedited || configuration_b.unedited)) return;
    const auto compared = roles ? compare_unpaired(a, b, primary.retention, *options_)
                                : compare_paired(a, b, primary.retention, *options_);
    const double loss_a = loss_of(measurements_->cells, configuration_a);
    const double loss_b = loss_of(measurements_->cells, configuration_b);
    const std::string failed_a = failures_of(*gate_, configuration_a);
    const std::string failed_b = roles ? "" : failures_of(*gate_, configuration_b);
    std::string note = failed_a;
    add_note(note, failed_b);
    if (std::fabs(loss_a - loss_b) > kEqualLoss) {
      char text[160];
      std::snprintf(text, sizeof text,
                    "the validation losses differ by %+.3f nat/token: freezing is judged at equal validation loss",
                    loss_a - loss_b);
      add_note(note, text);
    }
    const std::string label_a = cat(configuration_a.name, ", ", facts_of(key_a.second));
    const std::string label_b = roles ? facts_of(key_b.second) : configuration_b.name;
    const std::string words = primary.retention ? "retention" : "margin kept";
    table_.append_row({roles ? "roles" : "configurations",
                       configuration_a.name,
                       configuration_b.name,
                       key_a.second,
                       key_b.second,
                       differs_in,
                       primary.metric->id,
                       primary.column->name,
                       primary.retention ? "retention" : "change",
                       primary.column->unit,
                       a.baseline == b.baseline ? a.baseline : a.baseline + " and " + b.baseline,
                       a.stage,
                       b.stage,
                       !roles,
                       compared.facts_a,
                       compared.facts_b,
                       compared.difference.replicates,
                       compared.value_a,
                       compared.value_b,
                       compared.difference.estimate,
                       compared.difference.low,
                       compared.difference.high,
                       std::isnan(compared.difference.low) ? "" : compared.difference.levels(),
                       compared.p,
                       kNaN,
                       compared.detectable,
                       loss_a,
                       loss_b,
                       loss_a - loss_b,
                       failed_a.empty() && failed_b.empty(),
                       words_of(verdict(compared.difference)),
                       contrast_sentence(compared.difference, label_a, label_b, words, compared.detectable),
                       note});
  }

  const Measurements* measurements_;
  const Table* gate_;
  const SummaryOptions* options_;
  std::vector<Configuration> configurations_;
  Table table_;
};

}  // namespace

std::vector<ConfigurationPair> pairs_of(const Table& cells, const std::vector<Configuration>& configurations) {
  std::vector<std::string> swept;
  for (const auto& column : cells.columns) {
    if (column.name.starts_with("at_")) swept.push_back(column.name);
  }
  std::vector<ConfigurationPair> pairs;
  std::set<std::pair<std::size_t, std::size_t>> seen;
  const auto add = [&](std::size_t a, std::size_t b, const std::string& differs_in) {
    if (a != b && seen.insert(std::minmax(a, b)).second) pairs.push_back({a, b, differs_in});
  };
  for (std::size_t a = 0; a < configurations.size(); ++a) {
    const auto& mine = configurations[a];
    // Among those with the same swept values: the first, and the unedited control.
    if (!mine.variant.empty()) {
      std::size_t first = a;
      std::size_t control = a;
      for (std::size_t b = configurations.size(); b-- > 0;) {
        if (configurations[b].swept != mine.swept) continue;
        first = b;
        if (configurations[b].unedited) control = b;
      }
      add(a, first, "variant");
      add(a, control, "variant");
    }
    for (std::size_t b = 0; b < a; ++b) {
      const auto& other = configurations[b];
      if (other.variant != mine.variant) continue;
      std::size_t differing = 0;
      std::size_t which = 0;
      for (std::size_t i = 0; i < swept.size(); ++i) {
        if (mine.swept[i] == other.swept[i]) continue;
        ++differing;
        which = i;
      }
      if (differing == 1) add(a, b, swept[which]);
    }
  }
  return pairs;
}

Table contrasts(const Measurements& measurements, const Table& gate, const SummaryOptions& options) {
  return Builder(measurements, gate, options).build();
}

}  // namespace palimpsest::experiment
