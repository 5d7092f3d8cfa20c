// A user's text file opened, checked, filtered, split and hashed: what tasks read through the ABI's dataset service.
//
// Train and validation share no text: rows whose columns are equal always go to the same side. The rows of a split
// stand in file order. Immutable after open(); any number of threads may read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/filter.hpp"
#include "data/text_source.hpp"

namespace palimpsest::data {

enum class Split { kTrain, kValidation };
std::string_view name_of(Split split);  // "train", "validation"

struct DatasetOptions {
  TextSourceOptions source;
  FilterOptions filter;
  // The held-out sample: a share in [0, 1) of the rows that the filter kept, rounded to the nearest row, at least one
  // if the share is above 0.
  double validation_share = 0.1;
  std::uint64_t seed = 0;  // of the sample
};

struct DatasetCounts {
  std::int64_t read = 0;     // rows of the file
  std::int64_t dropped = 0;  // by the filter; read - dropped = train + validation
  std::int64_t train = 0;
  std::int64_t validation = 0;
  // Rows that hit each reason, whatever the mode; a row may hit several, so these do not sum to `dropped`.
  std::array<std::int64_t, kReasonCount> hits{};
};

class Dataset {
 public:
  // `facts`: all facts of the experiment (see FilterFact). A row's columns are filtered together, and no phrase runs
  // from one column into the next. Throws what read_text_source throws; kInvalidArgument for a validation size out of
  // range; kOutOfRange, with the counts, when the filter leaves nothing or the sample leaves nothing to train on.
  static Dataset open(const std::filesystem::path& path, const DatasetOptions& options,
                      std::span<const FilterFact> facts);

  const std::vector<std::string>& columns() const { return source_.columns; }
  // Throws Error(kNotFound) with "did you mean".
  std::int64_t column(std::string_view name) const;
  std::int64_t rows(Split split) const { return static_cast<std::int64_t>(kept(split).size()); }
  // Throws Error(kOutOfRange) for a row or column that does not exist. The view lives as long as the dataset.
  std::string_view text(Split split, std::int64_t row, std::int64_t column) const;
  // Where a row of a split stands in the file, from 1.
  std::int64_t line(Split split, std::int64_t row) const;

  const DatasetCounts& counts() const { return counts_; }
  const std::string& path() const { return source_.path; }
  const std::string& file_sha256() const { return source_.sha256; }
  // Hex SHA-256 over the columns, their texts and the split: equal exactly when a task sees the same data.
  const std::string& digest() const { return digest_; }
  // What of the facts the filter cannot find.
  const std::vector<Unmatchable>& unmatchable() const { return unmatchable_; }

 private:
  Dataset() = default;
  const std::vector<std::int64_t>& kept(Split split) const { return kept_[static_cast<std::size_t>(split)]; }
  std::int64_t source_row(Split split, std::int64_t row) const;
  void hold_out(const DatasetOptions& options, const std::vector<std::int64_t>& rows);

  TextSource source_;
  std::array<std::vector<std::int64_t>, 2> kept_;  // by split: rows of the source
  DatasetCounts counts_;
  std::string digest_;
  std::vector<Unmatchable> unmatchable_;
};

}  // namespace palimpsest::data
