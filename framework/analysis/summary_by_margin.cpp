// /retention_by_margin: retention of facts that were about equally firm when fine-tuning began (a
// firm fact is harder to forget, and edits are firmer than most facts from pre-training).
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "analysis/statistics.hpp"
#include "analysis/summary.hpp"

namespace palimpsest::analysis {
namespace {

using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kUnit = "nat";
// Lower ends; each bin ends where the next begins. A fact whose answer is the first choice has a margin of 0 or more.
constexpr std::array<double, 6> kFrom = {0, 0.5, 1, 2, 4, 8};

struct Bin {
  OutcomeReplicates outcomes;
  std::set<std::string> facts;
  Mean margin;

  void add(std::map<std::string, Tally>& by_fact, const Unit& unit, double held, double later, double firmness) {
    by_fact[unit.subject()].add(held, later);
    facts.insert(unit.fact);
    margin.add(firmness);
  }
};

std::size_t bin_of(double margin) {
  std::size_t bin = 0;
  while (bin + 1 < kFrom.size() && margin >= kFrom[bin + 1]) ++bin;
  return bin;
}

// The facts that succeed at `start`, by their margin there, with what became of them at `end`.
std::array<Bin, kFrom.size()> binned(const Series& rights, const Series& margins, const Point& start,
                                     const Point& end) {
  std::array<Bin, kFrom.size()> bins;
  const auto* margins_at_start = margins.at(start);
  if (margins_at_start == nullptr) return bins;
  for (const auto& [replicate, values] : *rights.at(end)) {
    for (Bin& bin : bins) bin.outcomes.emplace_back();
    std::array<std::map<std::string, Tally>, kFrom.size()> by_fact;
    const auto before = rights.at(start)->find(replicate);
    const auto firmness = margins_at_start->find(replicate);
    if (before == rights.at(start)->end() || firmness == margins_at_start->end()) continue;
    for (const auto& [unit, value] : values) {
      const double held = reference_value(before->second, unit);
      const double margin = reference_value(firmness->second, unit);
      if (!(held != 0) || std::isnan(held) || std::isnan(value) || std::isnan(margin)) continue;
      const std::size_t bin = bin_of(margin);
      bins[bin].add(by_fact[bin], unit, held, value, margin);
    }
    for (std::size_t bin = 0; bin < bins.size(); ++bin) {
      for (const auto& [fact, tally] : by_fact[bin]) bins[bin].outcomes.back().push_back(tally);
    }
  }
  return bins;
}

std::int64_t replicates_in(const Bin& bin) {
  std::int64_t count = 0;
  for (const auto& replicate : bin.outcomes) count += replicate.empty() ? 0 : 1;
  return count;
}

Table empty_table() {
  using Texts = std::vector<std::string>;
  using Reals = std::vector<double>;
  using Whole = std::vector<std::int64_t>;
  return {"/retention_by_margin",
          "facts of one role that succeed at the reference with a margin in one range, at the last measuring point",
          {{"configuration", "", "the cell's name without its replicate", Texts()},
           {"variant", "", "the variant's name; empty without variants", Texts()},
           {"role", "", "edited or intrinsic", Texts()},
           {"metric", "", "id of the metric", Texts()},
           {"outcome", "", "column of the table /metrics/<metric>: its primary rate", Texts()},
           {"margin_outcome", "", "column of that table: its primary continuous outcome, the margin", Texts()},
           {"baseline", "", "stage of the reference: edited, else base", Texts()},
           {"margin_from", std::string(kUnit),
            "least margin at the reference; a margin below 0 counts to the first range", Reals()},
           {"margin_to", std::string(kUnit), "the next range's least margin; NaN: no end", Reals()},
           {"mean_margin", std::string(kUnit), "mean of the facts' margins at the reference", Reals()},
           {"n_rows", "row", "one per fact and replicate in the range, and per edit in scope isolated", Whole()},
           {"n_replicates", "replicate", "replicates with at least one of them", Whole()},
           {"retention", "1", "share of them that still succeed at the last measuring point", Reals()},
           {"retention_low", "1", "lower end of its 95 % interval", Reals()},
           {"retention_high", "1", "upper end of its 95 % interval", Reals()},
           {"interval_levels", "", "what the interval's bootstrap draws; empty where there is none", Texts()}}};
}

}  // namespace

Table retention_by_margin(const Measurements& measurements, const SummaryOptions& options) {
  const auto configurations = configurations_of(measurements.cells);
  const BootstrapOptions bootstrap{options.seed, "retention_by_margin", options.resamples, 0.95};
  Table table = empty_table();
  for (const auto& [metric, rate, margin] : primaries_of(measurements)) {
    if (margin == nullptr || margin->unit != kUnit) continue;
    const auto margins = series_of(*metric, margin->name, measurements.cells, configurations);
    for (const auto& [key, rights] : series_of(*metric, rate->name, measurements.cells, configurations)) {
      const Point last = rights.points.rbegin()->first;
      const auto start = reference_of(rights, last, rate->baseline);
      const auto firmness = margins.find(key);
      if (!start || firmness == margins.end()) continue;
      const auto bins = binned(rights, firmness->second, *start, last);
      for (std::size_t i = 0; i < bins.size(); ++i) {
        const Bin& bin = bins[i];
        if (bin.margin.n == 0) continue;
        const Interval retention =
            shown_retention_interval(bin.outcomes, static_cast<std::int64_t>(bin.facts.size()), bootstrap);
        table.append_row({configurations[key.first].name, configurations[key.first].variant, key.second, metric->id,
                          rate->name, margin->name, start->stage, kFrom[i], i + 1 < kFrom.size() ? kFrom[i + 1] : kNaN,
                          bin.margin.value(), bin.margin.n, replicates_in(bin), retention.estimate, retention.low,
                          retention.high, std::isnan(retention.low) ? std::string() : std::string(retention.levels())});
      }
    }
  }
  return table;
}

}  // namespace palimpsest::analysis
