#include "analysis/report_words.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/layout.hpp"
#include "base/text.hpp"

namespace palimpsest::analysis {
namespace {

using results::Bool;
using results::Table;

std::string first_sentence(const std::string& text) {
  const auto end = text.find(". ");
  return end == std::string::npos ? text : text.substr(0, end + 1);
}

}  // namespace

const MetricColumn* with_placebo(const MetricRows& metric) {
  for (const auto& column : metric.columns) {
    if (column.aggregate == "rate" && metric.find(column.name + "_placebo") != nullptr) return &column;
  }
  return nullptr;
}

bool is_shown(const Shown& shown, const std::string& metric) {
  return std::any_of(shown.begin(), shown.end(), [&](const Primary* p) { return p->metric->id == metric; });
}

std::string legend(const Shown& shown) {
  if (shown.empty()) return "";
  std::string out =
      "edited: facts that an edit wrote, judged by the new answer. intrinsic: facts that the unedited model already "
      "knew (the control), judged by the true answer. right: share of the facts that the model answers rightly, by ";
  out += list_text(shown, [](const auto* primary) { return primary->rate->name; });
  out +=
      " below, before and after (before: as edited, or the unedited model where nothing was edited earlier). "
      "retention: share of those right before that are still right after, with a 95 % interval.";
  std::vector<const MetricColumn*> defined;
  for (const auto* primary : shown) {
    defined.push_back(primary->rate);
    if (const auto* continuous = primary->continuous) {
      out += cat(" ", continuous->name, ": mean before and after, in ", continuous->unit, ".");
      defined.push_back(continuous);
    }
    if (const auto* column = with_placebo(*primary->metric)) {
      out += cat(" ", column->name, ": share of the facts with it; placebo: the same for another answer of its kind.");
      defined.push_back(column);
    }
  }
  out = wrapped(out + " -: not measured.", "", "");
  for (const auto* column : defined) {
    out += wrapped(cat(column->name, ": ", first_sentence(column->definition)), "  ", "    ");
  }
  return out;
}

std::string conclusions(const Table& contrasts, const Shown& shown) {
  std::string out, elsewhere;
  const auto& headline = contrasts.values<Bool>("headline");
  const auto& metrics = contrasts.values<std::string>("metric");
  const auto& outcomes = contrasts.values<std::string>("outcome");
  const auto& sentences = contrasts.values<std::string>("sentence");
  const auto& notes = contrasts.values<std::string>("note");
  const auto& facts = contrasts.values<std::int64_t>("n_facts_a");
  std::set<std::string> said, also;
  for (std::size_t row = 0; row < contrasts.rows(); ++row) {
    if (!headline[row] || facts[row] == 0) continue;
    if (!is_shown(shown, metrics[row])) {
      const std::string outcome = cat(outcomes[row], " (", metrics[row], ")");
      if (also.insert(outcome).second) elsewhere += cat(elsewhere.empty() ? "" : ", ", outcome);
      continue;
    }
    out += wrapped("* " + sentences[row], "  ", "    ");
    if (!notes[row].empty() && said.insert(notes[row]).second)
      out += wrapped(cat("(", notes[row], ")"), "    ", "    ");
  }
  if (!elsewhere.empty()) out += wrapped(cat("Compared in /contrasts too: ", elsewhere, "."), "  ", "    ");
  return out;
}

std::string left_open(const Table& contrasts, const Table& gate, const Shown& shown) {
  std::set<std::string> failed;
  for (std::size_t row = 0; row < gate.rows(); ++row) {
    if (!gate.values<Bool>("passed")[row]) failed.insert(gate.values<std::string>("configuration")[row]);
  }
  const auto& headline = contrasts.values<Bool>("headline");
  const auto& metrics = contrasts.values<std::string>("metric");
  const auto& all_a = contrasts.values<std::string>("configuration_a");
  const auto& all_b = contrasts.values<std::string>("configuration_b");
  const auto& notes = contrasts.values<std::string>("note");
  std::set<std::pair<std::string, std::string>> judged, said;
  for (std::size_t row = 0; row < contrasts.rows(); ++row) {
    if (headline[row] && is_shown(shown, metrics[row])) judged.emplace(all_a[row], all_b[row]);
  }
  std::string out;
  for (std::size_t row = 0; row < contrasts.rows(); ++row) {
    const std::pair pair(all_a[row], all_b[row]);
    if (!is_shown(shown, metrics[row]) || failed.contains(pair.first) || failed.contains(pair.second)) continue;
    if (judged.contains(pair) || !said.insert(pair).second) continue;
    out += wrapped(cat("* ", pair.first, " and ", pair.second, ": ", notes[row]), "  ", "    ");
  }
  return out;
}

}  // namespace palimpsest::analysis
