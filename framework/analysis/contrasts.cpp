#include "analysis/contrasts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string_view>

#include "analysis/contrasts_compare.hpp"
#include "analysis/contrasts_loss.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::analysis {
namespace {

using results::Bool;
using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kLastStep = "last step";
constexpr std::string_view kAtEqualLoss = "equal validation loss";

// What is compared: a primary outcome.
struct Subject {
  const MetricRows* metric;
  const MetricColumn* column;
  bool retention;        // else the change
  std::string baseline;  // of the primary rate
  std::string words;     // in the sentences
};

std::vector<Subject> subjects(const Measurements& measurements) {
  std::vector<Subject> found;
  for (const auto& primary : primaries_of(measurements)) {
    const auto& baseline = primary.rate->baseline;
    // The report tells of the first one.
    const std::string words = found.empty() ? "retention" : cat("retention of ", primary.rate->name);
    found.push_back({primary.metric, primary.rate, true, baseline, words});
    if (primary.continuous == nullptr) continue;
    found.push_back({primary.metric, primary.continuous, false, baseline, cat(primary.continuous->name, " kept")});
  }
  return found;
}

Table empty_contrasts() {
  using Texts = std::vector<std::string>;
  using Reals = std::vector<double>;
  using Whole = std::vector<std::int64_t>;
  return {
      "/contrasts",
      "one difference, a minus b, of one primary outcome",
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
       {"compared_at", "",
        "last step: both at their last measuring point; equal validation loss: the one that went lower at the "
        "measuring point where its validation loss was nearest to the other's last one",
        Texts()},
       {"stage_a", "", "stage of the measuring point of a", Texts()},
       {"stage_b", "", "stage of the measuring point of b", Texts()},
       {"step_a", "optimiser step", "step of fine-tuning there; the largest among the replicates of a", Whole()},
       {"step_b", "optimiser step", "step of fine-tuning there; the largest among the replicates of b", Whole()},
       {"paired", "", "whether the same facts are compared", std::vector<Bool>()},
       {"n_facts_a", "fact", "different facts of a in the comparison", Whole()},
       {"n_facts_b", "fact", "different facts of b in the comparison", Whole()},
       {"n_replicates", "replicate", "replicates in the comparison", Whole()},
       {"value_a", "that of measure_unit", "mean over the compared facts and replicates, of a", Reals()},
       {"value_b", "that of measure_unit", "mean over the compared facts and replicates, of b", Reals()},
       {"difference", "that of measure_unit", "value_a minus value_b", Reals()},
       {"difference_low", "that of measure_unit", "lower end of the difference's 95 % interval", Reals()},
       {"difference_high", "that of measure_unit", "upper end of the difference's 95 % interval", Reals()},
       {"interval_levels", "",
        "what the interval's bootstrap draws: replicates and facts (of roles: lots and facts), or facts only (one of "
        "these)",
        Texts()},
       {"p", "1",
        "two-sided permutation p: signs of the facts' differences where paired, else roles dealt anew within a lot (a "
        "replicate, or two that exchange roles)",
        Reals()},
       {"p_adjusted", "1", "p after Holm's adjustment over this table", Reals()},
       {"smallest_detectable", "that of measure_unit",
        "difference that this many facts would show with 80 % power at 5 %, by a normal approximation, which leaves "
        "the exchange of roles out of account",
        Reals()},
       {"validation_loss_a", "nat/token",
        "mean validation loss of a over the replicates that both have: after fine-tuning, at equal validation loss "
        "after step_a",
        Reals()},
       {"validation_loss_b", "nat/token",
        "mean validation loss of b over the replicates that both have: after fine-tuning, at equal validation loss "
        "after step_b",
        Reals()},
       {"validation_loss_difference", "nat/token", "validation_loss_a minus validation_loss_b", Reals()},
       {"headline", "",
        "no cell of a or b failed the quality gate; and where their fine-tunings may change different weights, the "
        "validation losses differ by at most 0.02",
        std::vector<Bool>()},
       {"verdict", "",
        "more, less, no detectable difference, too few facts (to tell the difference of the interval from chance), or "
        "not measured: read off the interval",
        Texts()},
       {"sentence", "", "the verdict in words", Texts()},
       {"note", "", "cells that failed the quality gate, and validation losses that differ by more than 0.02",
        Texts()}}};
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

// A replicate that exchanges the roles of the one before it is of its lot.
Lots lots_of(const Table& cells, const Configuration& configuration) {
  Lots lots;
  for (const auto row : configuration.rows) {
    const auto replicate = cells.values<std::int64_t>("replicate")[row];
    lots[replicate] = bool(cells.values<Bool>("swapped")[row]) ? replicate - 1 : replicate;
  }
  return lots;
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
    for (const auto& subject : subjects(*measurements_)) {
      const auto all = series_of(*subject.metric, subject.column->name, measurements_->cells, configurations_);
      std::set<std::string> roles;
      for (const auto& [key, series] : all) roles.insert(key.second);
      for (std::size_t i = 0; i < configurations_.size(); ++i) {
        add(subject, all.find({i, "edited"}), all.find({i, "intrinsic"}), all.end(), "role");
      }
      for (const auto& pair : pairs) {
        for (const auto& role : roles) {
          add(subject, all.find({pair.a, role}), all.find({pair.b, role}), all.end(), pair.differs_in);
        }
      }
    }
    auto& adjusted = std::get<std::vector<double>>(column("p_adjusted").values);
    adjusted = holm_adjusted(table_.values<double>("p"));
    return std::move(table_);
  }

 private:
  using AllSeries = std::map<SeriesKey, Series>;

  // One side of a contrast.
  struct Side {
    const Configuration* configuration = nullptr;
    const std::string* role = nullptr;
    const Series* series = nullptr;
    AtPoint outcomes;
    double loss = kNaN;

    std::string step() const { return cat(" at step ", outcomes.step); }
  };

  results::Column& column(std::string_view name) {
    return *std::find_if(table_.columns.begin(), table_.columns.end(), [&](const auto& c) { return c.name == name; });
  }

  Side side_of(const Subject& subject, const SeriesKey& key, const Series& series) const {
    return {&configurations_[key.first], &key.second, &series,
            at_point(series, series.points.rbegin()->first, subject.retention, subject.baseline)};
  }

  // The row about a and b at the last step; and one at equal validation loss where they freeze differently and do not
  // end with the same loss.
  void add(const Subject& subject, AllSeries::const_iterator found_a, AllSeries::const_iterator found_b,
           AllSeries::const_iterator none, const std::string& differs_in) {
    if (found_a == none || found_b == none) return;
    Side a = side_of(subject, found_a->first, found_a->second);
    Side b = side_of(subject, found_b->first, found_b->second);
    // Nothing came before the last point: there is nothing to retain.
    if (a.outcomes.baseline.empty() || b.outcomes.baseline.empty()) return;
    // Nothing was written into the unedited control, so its edited facts have nothing to lose.
    if (*a.role == "edited" && (a.configuration->unedited || b.configuration->unedited)) return;

    const Table& cells = measurements_->cells;
    const auto replicates = shared_replicates(cells, *a.configuration, *b.configuration);
    a.loss = final_loss(cells, *a.configuration, replicates);
    b.loss = final_loss(cells, *b.configuration, replicates);
    const bool freezing = trains_other_weights(cells, *a.configuration, *b.configuration);
    const double gap = std::fabs(a.loss - b.loss);
    std::string note;
    if (gap > kEqualLoss)
      note = cat("the validation losses differ by ", number_text("%+.3f", a.loss - b.loss), " nat/token");
    if (!freezing || gap <= kEqualLoss) {
      add_row(subject, a, b, differs_in, kLastStep, freezing, true, note);
      return;
    }
    note += cat(std::isnan(gap) ? "the validation losses are not known" : "",
                ": freezing is judged at equal validation loss");
    Side& lower = a.loss < b.loss ? a : b;
    const Side& higher = a.loss < b.loss ? b : a;
    const auto nearest = nearest_in_loss(*measurements_, *lower.configuration, *lower.series, replicates, higher.loss);
    const bool equal = nearest && std::fabs(nearest->loss - higher.loss) <= kEqualLoss;
    if (!equal && !std::isnan(gap)) {
      note += cat(", and no measuring point of ", lower.configuration->name,
                  " with an evaluation comes within 0.02 nat/token of the last loss of ", higher.configuration->name);
      if (nearest) {
        note +=
            cat(" (nearest: step ", nearest->point.step, ", ", number_text("%+.3f", nearest->loss - higher.loss), ")");
      }
    }
    add_row(subject, a, b, differs_in, kLastStep, freezing, false, note);
    if (!equal) return;
    lower.outcomes = at_point(*lower.series, nearest->point, subject.retention, subject.baseline);
    lower.loss = nearest->loss;
    add_row(subject, a, b, differs_in, kAtEqualLoss, freezing, true, "");
  }

  void add_row(const Subject& subject, const Side& a, const Side& b, const std::string& differs_in,
               std::string_view compared_at, bool names_steps, bool headline, const std::string& loss_note) {
    const bool roles = a.configuration == b.configuration;
    const auto compared = roles ? compare_roles(a.outcomes, b.outcomes, lots_of(measurements_->cells, *a.configuration),
                                                subject.retention, *options_)
                                : compare_paired(a.outcomes, b.outcomes, subject.retention, *options_);
    std::string note = failures_of(*gate_, *a.configuration);
    if (!roles) add_note(note, failures_of(*gate_, *b.configuration));
    const bool passed = note.empty();
    add_note(note, loss_note);
    std::string label_a = cat(a.configuration->name, ", ", facts_of(*a.role));
    std::string label_b = roles ? facts_of(*b.role) : b.configuration->name;
    if (names_steps) {
      label_a += a.step();
      label_b += b.step();
    }
    if (compared_at == kAtEqualLoss) label_b += cat(", at ", kAtEqualLoss);
    table_.append_row({roles ? "roles" : "configurations",
                       a.configuration->name,
                       b.configuration->name,
                       *a.role,
                       *b.role,
                       differs_in,
                       subject.metric->id,
                       subject.column->name,
                       subject.retention ? "retention" : "change",
                       subject.column->unit,
                       a.outcomes.baseline == b.outcomes.baseline
                           ? a.outcomes.baseline
                           : cat(a.outcomes.baseline, " and ", b.outcomes.baseline),
                       compared_at,
                       a.outcomes.stage,
                       b.outcomes.stage,
                       a.outcomes.step,
                       b.outcomes.step,
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
                       a.loss,
                       b.loss,
                       a.loss - b.loss,
                       passed && headline,
                       words_of(verdict(compared.difference)),
                       contrast_sentence(compared.difference, label_a, label_b, subject.words, compared.detectable),
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

}  // namespace palimpsest::analysis
