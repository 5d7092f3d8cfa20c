#include "data/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/rng.hpp"
#include "base/text.hpp"

namespace palimpsest::data {
namespace {

std::int64_t validation_size(const DatasetOptions& options, std::int64_t rows) {
  if (!(options.validation_share >= 0 && options.validation_share < 1)) {
    fail(ErrorCode::kInvalidArgument, "validation share: found ", options.validation_share,
         ", expected 0 or more and below 1");
  }
  if (options.validation_share == 0) return 0;
  return std::max<std::int64_t>(1, std::llround(options.validation_share * static_cast<double>(rows)));
}

}  // namespace

std::string_view name_of(Split split) { return split == Split::kTrain ? "train" : "validation"; }

Dataset Dataset::open(const std::filesystem::path& path, const DatasetOptions& options,
                      std::span<const FilterFact> facts) {
  validation_size(options, 1);  // a wrong size is said before the file is read
  Dataset out;
  out.source_ = read_text_source(path, options.source);
  out.counts_.read = out.source_.rows();

  const RelevanceFilter filter(facts, options.filter);
  out.unmatchable_ = filter.unmatchable();
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < out.source_.rows(); ++row) {
    ReasonSet reasons;
    for (const auto& column : out.source_.values) reasons |= filter.scan(column[static_cast<std::size_t>(row)]);
    for (std::size_t r = 0; r < kReasonCount; ++r) out.counts_.hits[r] += reasons.test(r) ? 1 : 0;
    if (filter.keeps(reasons)) rows.push_back(row);
  }
  out.counts_.dropped = out.counts_.read - static_cast<std::int64_t>(rows.size());
  if (rows.empty()) {
    std::string hits;
    for (std::size_t r = 0; r < kReasonCount; ++r) {
      hits += cat(hits.empty() ? "" : ", ", name_of(static_cast<Reason>(r)), " ", out.counts_.hits[r]);
    }
    fail(ErrorCode::kOutOfRange, out.path(), ": the filter ", name_of(options.filter.mode), " dropped all ",
         out.counts_.read, " rows (rows hit by reason: ", hits, "); give other text, other facts or another filter");
  }
  out.hold_out(options, rows);

  Sha256 hash;
  for (const auto& name : out.columns()) hash.field(name);
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    hash.field(name_of(split)).field(cat(out.rows(split)));
    for (const std::int64_t row : out.kept(split)) {
      for (const auto& column : out.source_.values) hash.field(column[static_cast<std::size_t>(row)]);
    }
  }
  out.digest_ = hash.hex();
  return out;
}

// Groups of equal rows are drawn by lot until the sample is full; a group that would overfill it is passed over.
void Dataset::hold_out(const DatasetOptions& options, const std::vector<std::int64_t>& rows) {
  const auto total = static_cast<std::int64_t>(rows.size());
  const std::int64_t wanted = validation_size(options, total);
  if (wanted >= total) {
    fail(ErrorCode::kOutOfRange, path(), ": ", wanted, " validation rows were asked for, and ", total,
         " rows are there after the filter (of ", counts_.read, "); expected at least one more, to train on");
  }
  std::vector<std::vector<std::int64_t>> groups;
  std::unordered_map<std::string, std::size_t> group_of;
  for (const std::int64_t row : rows) {
    Sha256 hash;
    for (const auto& column : source_.values) hash.field(column[static_cast<std::size_t>(row)]);
    const auto [at, fresh] = group_of.emplace(hash.hex(), groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].push_back(row);
  }
  Rng rng(options.seed, "dataset.validation");
  rng.shuffle(groups);
  auto& train = kept_[static_cast<std::size_t>(Split::kTrain)];
  auto& validation = kept_[static_cast<std::size_t>(Split::kValidation)];
  for (const auto& group : groups) {
    const bool fits = static_cast<std::int64_t>(validation.size() + group.size()) <= wanted;
    auto& side = fits ? validation : train;
    side.insert(side.end(), group.begin(), group.end());
  }
  if (wanted > 0 && validation.empty()) {
    fail(ErrorCode::kOutOfRange, path(), ": no validation sample of ", wanted, " rows can be held out: the ", total,
         " rows are only ", groups.size(), " different texts, each repeated more often than that");
  }
  std::sort(train.begin(), train.end());
  std::sort(validation.begin(), validation.end());
  counts_.train = static_cast<std::int64_t>(train.size());
  counts_.validation = static_cast<std::int64_t>(validation.size());
}

std::int64_t Dataset::column(std::string_view name) const {
  const auto at = std::find(columns().begin(), columns().end(), name);
  if (at != columns().end()) return at - columns().begin();
  fail(ErrorCode::kNotFound, path(), ": there is no column \"", name, "\"", did_you_mean(name, columns()),
       "; available: ", list_text(columns()));
}

std::int64_t Dataset::source_row(Split split, std::int64_t row) const {
  if (row < 0 || row >= rows(split)) {
    fail(ErrorCode::kOutOfRange, path(), ": row ", row, " of the ", name_of(split), " split, expected 0 to ",
         rows(split) - 1);
  }
  return kept(split)[static_cast<std::size_t>(row)];
}

std::string_view Dataset::text(Split split, std::int64_t row, std::int64_t column) const {
  const std::int64_t at = source_row(split, row);
  if (column < 0 || column >= static_cast<std::int64_t>(columns().size())) {
    fail(ErrorCode::kOutOfRange, path(), ": column ", column, ", expected 0 to ", columns().size() - 1);
  }
  return source_.values[static_cast<std::size_t>(column)][static_cast<std::size_t>(at)];
}

std::int64_t Dataset::line(Split split, std::int64_t row) const {
  return source_.lines[static_cast<std::size_t>(source_row(split, row))];
}

}  // namespace palimpsest::data
