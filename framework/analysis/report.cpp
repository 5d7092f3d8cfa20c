#include "analysis/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "analysis/report_words.hpp"
#include "analysis/statistics.hpp"
#include "base/error.hpp"
#include "base/layout.hpp"
#include "base/text.hpp"
#include "results/reader.hpp"

namespace palimpsest::analysis {
namespace {

using results::Bool;
using results::Table;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Fewer than these show how it works and prove nothing.
constexpr std::size_t kFewFacts = 20;
constexpr std::int64_t kFewReplicates = 2;

std::string fixed(double value, const char* format = "%.2f") {
  return std::isnan(value) ? "-" : number_text(format, value);
}

std::string arrow(double before, double after, const char* format = "%.2f") {
  if (std::isnan(before) && std::isnan(after)) return "-";
  return cat(fixed(before, format), " -> ", fixed(after, format));
}

// A row of /summary by its place.
class SummaryRows {
 public:
  explicit SummaryRows(const Table& summary) : summary_(&summary) {
    const auto& configuration = summary.values<std::string>("configuration");
    const auto& role = summary.values<std::string>("role");
    const auto& metric = summary.values<std::string>("metric");
    const auto& outcome = summary.values<std::string>("outcome");
    const auto& ordinal = summary.values<std::int64_t>("ordinal");
    const auto& stage = summary.values<std::string>("stage");
    const auto& step = summary.values<std::int64_t>("step");
    for (std::size_t row = 0; row < summary.rows(); ++row) {
      // Within an ordinal `finetuned` is last whatever its step.
      rows_[{configuration[row], role[row], metric[row], outcome[row]}]
           [{ordinal[row], stage[row], stage[row] == "finetuned" ? 0 : step[row]}] = row;
    }
  }

  // What the table is about: the first whose primary rate was measured in the configuration. nullptr: none.
  const Primary* primary_of(const std::string& configuration, const std::vector<Primary>& primaries) const {
    for (const auto& primary : primaries) {
      for (const auto& [key, points] : rows_) {
        if (key[0] == configuration && key[2] == primary.metric->id && key[3] == primary.rate->name) return &primary;
      }
    }
    return nullptr;
  }

  using Points = std::map<Point, std::size_t>;
  const Points* find(const std::string& configuration, const std::string& role, const std::string& metric,
                     const std::string& outcome) const {
    const auto found = rows_.find({configuration, role, metric, outcome});
    return found == rows_.end() ? nullptr : &found->second;
  }

  double number(std::size_t row, std::string_view column) const { return summary_->values<double>(column)[row]; }
  std::int64_t whole(std::size_t row, std::string_view column) const {
    return summary_->values<std::int64_t>(column)[row];
  }

 private:
  const Table* summary_;
  std::map<std::array<std::string, 4>, Points> rows_;
};

// What comes last, and what it is measured against.
struct Ends {
  Point start, last;
  bool against_edited = false;
};

// By the baseline of the primary rate, as reference_of has it.
std::optional<Ends> ends_of(const SummaryRows::Points& points, std::string_view baseline) {
  if (points.empty()) return std::nullopt;
  const Point& last = points.rbegin()->first;
  Ends ends{baseline == "edited" ? last : points.begin()->first, last, false};
  for (const auto& [point, row] : points) {
    if (baseline == "base" || point.stage != "edited" || point == ends.last) continue;
    ends.start = point;
    ends.against_edited = true;
    break;
  }
  return ends;
}

struct Size {
  std::int64_t facts = 0, replicates = 0;
};

std::vector<std::string> head_of(const Primary& primary) {
  std::vector<std::string> head{"role", "facts", "right", "retention (95 %)"};
  if (primary.continuous != nullptr) head.push_back(primary.continuous->name);
  if (const auto* column = with_placebo(*primary.metric)) {
    head.push_back(column->name);
    head.emplace_back("placebo");
  }
  return head;
}

// One line of the table, "-" in each place that was not measured.
std::vector<std::string> line_of(const SummaryRows& rows, const std::string& configuration, const std::string& role,
                                 const Primary& primary, Size& size) {
  const std::string& metric = primary.metric->id;
  const auto* answers = rows.find(configuration, role, metric, primary.rate->name);
  const auto ends = answers == nullptr ? std::nullopt : ends_of(*answers, primary.rate->baseline);
  if (!ends) return {};
  const auto mean_at = [&](const std::string& outcome, const Point& point) {
    const auto* points = rows.find(configuration, role, metric, outcome);
    if (points == nullptr) return kNaN;
    const auto found = points->find(point);
    return found == points->end() ? kNaN : rows.number(found->second, "mean");
  };
  const std::size_t last = answers->at(ends->last);
  size = {rows.whole(last, "n_facts"), rows.whole(last, "n_replicates")};
  const std::string against = ends->against_edited ? "edited" : "base";
  const double retention = ends->start == ends->last ? kNaN : rows.number(last, "retention_" + against);
  std::string kept = "-";
  if (!std::isnan(retention)) {
    kept = fixed(retention);
    const double low = rows.number(last, "retention_low_" + against);
    if (!std::isnan(low)) {
      kept += cat(" (", fixed(low), " to ", fixed(rows.number(last, "retention_high_" + against)), ")");
    }
  }
  const auto change = [&](const std::string& outcome, const char* format) {
    const double after = mean_at(outcome, ends->last);
    return ends->start == ends->last ? fixed(after, format) : arrow(mean_at(outcome, ends->start), after, format);
  };
  std::vector<std::string> line{role, cat(size.facts), change(primary.rate->name, "%.2f"), kept};
  if (primary.continuous != nullptr) line.push_back(change(primary.continuous->name, "%+.2f"));
  if (const auto* column = with_placebo(*primary.metric)) {
    line.push_back(fixed(mean_at(column->name, ends->last)));
    line.push_back(fixed(mean_at(column->name + "_placebo", ends->last)));
  }
  return line;
}

double mean_of_cells(const Table& cells, const Configuration& configuration, std::string_view column) {
  Mean mean;
  for (const auto row : configuration.rows) mean.add(cells.values<double>(column)[row]);
  return mean.value();
}

// How good the edits were, as the quality gate judged them; means over replicates. "" where nothing was measured.
std::string edits_words(const Table& gate, const Configuration& configuration) {
  const auto mean_of = [&](std::string_view column) {
    const auto& names = gate.values<std::string>("configuration");
    const auto& values = gate.values<double>(column);
    Mean mean;
    for (std::size_t row = 0; row < gate.rows(); ++row) {
      if (names[row] == configuration.name) mean.add(values[row]);
    }
    return mean.value();
  };
  std::string out;
  const auto add = [&](std::string_view name, double value, std::string_view unit, const char* format) {
    if (std::isnan(value)) return;
    out += cat(out.empty() ? "the edits: " : ", ", name, ' ', fixed(value, format), unit);
  };
  add("efficacy", mean_of("efficacy"), "", "%.2f");
  add("neighbourhood loss", mean_of("neighbourhood_loss"), "", "%.2f");
  add("perplexity", 100 * mean_of("perplexity_rise"), " %", "%+.1f");
  return out.empty() ? out : wrapped(out, "  ", "    ");
}

// What the configuration is, how good its edits were, and what its fine-tuning did to the task's own loss.
std::string heading(const Table& cells, const Table& gate, const Configuration& configuration) {
  const std::size_t row = configuration.rows.front();
  const auto text = [&](std::string_view column) {
    const auto& id = cells.values<std::string>(column)[row];
    return id.empty() ? std::string("none") : id;
  };
  std::string out = cat(configuration.name, ": editor ", text("editor"));
  const bool tuned = bool(cells.values<Bool>("tuned")[row]);
  out += tuned ? cat(", task ", text("task"), ", freeze policy ", text("freeze_policy")) : ", no fine-tuning";
  const auto n = configuration.rows.size();
  out = wrapped(cat(out, "; ", n, n == 1 ? " replicate" : " replicates"), "", "    ");
  if (!configuration.unedited) out += edits_words(gate, configuration);
  if (!tuned) return out;
  const double before = mean_of_cells(cells, configuration, "validation_loss_before");
  const double after = mean_of_cells(cells, configuration, "validation_loss_after");
  return out + wrapped(cat("validation loss ", arrow(before, after, "%.3f"), " nat/token",
                           after >= before ? ": the fine-tuning did not improve its own task" : ""),
                       "  ", "    ");
}

double mean_at(const Series& series, const Point& point) {
  Mean mean;
  for (const auto& [replicate, values] : *series.at(point)) {
    for (const auto& [unit, value] : values) mean.add(value);
  }
  return mean.value();
}

// The task's own score, by its columns, of the unedited model, as edited, and at last. "" where none was measured.
std::string score_words(const Measurements& measurements, const std::vector<Configuration>& configurations,
                        std::size_t configuration) {
  std::string stages, columns;
  for (const auto& rows : measurements.task_scores) {
    for (const auto& column : rows.columns) {
      if (column.aggregate == "none") continue;
      const auto all = series_of(rows, column.name, measurements.cells, configurations);
      const auto found = all.find({configuration, ""});
      if (found == all.end() || found->second.empty()) continue;
      const Series& series = found->second;
      const Point last = series.points.rbegin()->first;
      std::string names, means;
      const auto say = [&](std::string_view name, const std::optional<Point>& point) {
        if (!point) return;
        names += cat(names.empty() ? "" : " -> ", name);
        means += cat(means.empty() ? "" : " -> ", fixed(mean_at(series, *point), "%.4g"));
      };
      say("unedited", series.base());
      say("edited", series.edited(last));
      if (last.stage == "finetuned") say("fine-tuned", last);
      stages = names;
      columns += cat(columns.empty() ? "" : ", ", column.name, ' ', means);
    }
  }
  if (columns.empty()) return "";
  return wrapped(cat("the task's own score, on examples held out (", stages, "): ", columns), "  ", "    ");
}

// Whether edited models were fine-tuned, and no unedited one was beside them.
bool lacks_control(const Table& cells) {
  const auto& unedited = cells.values<Bool>("unedited");
  const auto& tuned = cells.values<Bool>("tuned");
  bool edited = false, control = false;
  for (std::size_t row = 0; row < cells.rows(); ++row) {
    if (tuned[row]) (unedited[row] ? control : edited) = true;
  }
  return edited && !control;
}

std::string gate_words(const Table& gate) {
  std::string out;
  const auto& cells = gate.values<std::string>("cell");
  const auto& passed = gate.values<Bool>("passed");
  const auto& reasons = gate.values<std::string>("reason");
  for (std::size_t row = 0; row < gate.rows(); ++row) {
    if (!passed[row]) out += wrapped(cat("* ", cells[row], ": ", reasons[row]), "  ", "    ");
  }
  return out;
}

// The table /trials of a search.
std::string trials_report(const Table& trials) {
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& column : trials.columns) {
    const std::string name = column.name.starts_with("at_") ? column.name.substr(3) : column.name;
    rows.front().push_back(name == "best" ? "" : name);
  }
  const auto& best = trials.values<Bool>("best");
  for (std::size_t row = 0; row < trials.rows(); ++row) {
    std::vector<std::string> line;
    for (const auto& column : trials.columns) {
      if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
        line.push_back(cat((*whole)[row]));
      } else if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
        line.push_back(fixed((*numbers)[row], column.name.starts_with("at_") ? "%g" : "%.3f"));
      } else if (const auto* texts = std::get_if<std::vector<std::string>>(&column.values)) {
        line.push_back((*texts)[row]);
      } else {
        line.push_back(best[row] ? "best" : "");
      }
    }
    rows.push_back(std::move(line));
  }
  return "Trials of the search; 0 is the editor as the file has it:\n" + aligned(rows) + "\n" +
         wrapped("score: " + trials.at("score").definition + ". -: not measured.", "", "");
}

}  // namespace

std::string report(const Measurements& measurements, const Table& summary, const Table& contrasts, const Table& gate) {
  const auto configurations = configurations_of(measurements.cells);
  const SummaryRows rows(summary);
  const auto primaries = primaries_of(measurements);
  Shown shown;
  std::string out;
  std::size_t fewest_facts = std::numeric_limits<std::size_t>::max();
  std::int64_t fewest_replicates = std::numeric_limits<std::int64_t>::max();
  bool measured = false;
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const Configuration& configuration = configurations[i];
    out += heading(measurements.cells, gate, configuration);
    out += score_words(measurements, configurations, i);
    const Primary* primary = rows.primary_of(configuration.name, primaries);
    std::vector<std::vector<std::string>> table;
    for (const std::string role : {"edited", "intrinsic"}) {
      if (primary == nullptr) break;
      if (table.empty()) table.push_back(head_of(*primary));
      Size size;
      auto line = line_of(rows, configuration.name, role, *primary, size);
      if (line.empty()) continue;
      table.push_back(std::move(line));
      measured = true;
      fewest_facts = std::min(fewest_facts, static_cast<std::size_t>(size.facts));
      fewest_replicates = std::min(fewest_replicates, size.replicates);
    }
    if (primary != nullptr && table.size() > 1) {
      out += aligned(table) + "\n";
      if (!is_shown(shown, primary->metric->id)) shown.push_back(primary);
    } else {
      out += "  retention was not measured (no metric of this file has a rate with a baseline)\n\n";
    }
  }
  if (const std::string sentences = conclusions(contrasts, shown); !sentences.empty()) {
    out += "What follows from the intervals:\n" + sentences + "\n";
  } else if (contrasts.rows() > 0) {
    out += wrapped(
               "No conclusion is drawn: each comparison has a cell that failed the quality gate, no facts that both "
               "sides have, or validation losses that differ.",
               "", "") +
           "\n";
  }
  if (const std::string unjudged = left_open(contrasts, gate, shown); !unjudged.empty()) {
    out += "Left open:\n" + unjudged + "\n";
  }
  if (const std::string failures = gate_words(gate); !failures.empty()) {
    out += "Kept out of the conclusions by the quality gate:\n" + failures + "\n";
  }
  if (lacks_control(measurements.cells)) {
    out +=
        wrapped(
            "No cell is the unedited, fine-tuned control: what fine-tuning makes the model forget cannot be told from "
            "what the edit damaged.",
            "", "") +
        "\n";
  }
  if (measured && (fewest_facts < kFewFacts || fewest_replicates < kFewReplicates)) {
    out += wrapped(cat(fewest_facts, fewest_facts == 1 ? " fact and " : " facts and ", fewest_replicates,
                       fewest_replicates == 1 ? " replicate" : " replicates", ": a demonstration, not evidence."),
                   "", "") +
           "\n";
  }
  return out + legend(shown);
}

std::string report(const std::filesystem::path& file) {
  const results::Reader reader(file);
  if (reader.has("/trials")) return trials_report(reader.table("/trials"));
  const auto measurements = read_measurements(reader);
  const auto gate = reader.has("/quality_gate") ? reader.table("/quality_gate") : quality_gate(measurements);
  const auto summary = reader.has("/summary") ? reader.table("/summary") : summarise(measurements);
  const auto differences = reader.has("/contrasts") ? reader.table("/contrasts") : contrasts(measurements, gate);
  return report(measurements, summary, differences, gate);
}

}  // namespace palimpsest::analysis
