#include "config/disjoint.hpp"

#include <limits>
#include <set>

#include "base/error.hpp"

namespace palimpsest::config {
namespace {

namespace fs = std::filesystem;

// Rows [first, end) of a facts' file.
struct Rows {
  fs::path file;
  std::int64_t first = 0, end = 0;

  auto operator<=>(const Rows& other) const = default;
  bool meets(const Rows& other) const { return file == other.file && first < other.end && other.first < end; }
  std::string text() const {
    constexpr auto kAll = std::numeric_limits<std::int64_t>::max();
    return end == kAll ? cat("the rows from ", first, " on") : cat("the rows ", first, " to ", end - 1);
  }
};

std::set<Rows> rows_of(const std::vector<Cell>& cells) {
  std::set<Rows> all;
  for (const Cell& cell : cells) {
    const FactsSection& facts = cell.experiment.facts;
    const std::int64_t end = facts.limit > 0 ? facts.first + facts.limit : std::numeric_limits<std::int64_t>::max();
    std::error_code error;
    const fs::path file = fs::weakly_canonical(facts.file.path, error);
    all.insert({error ? facts.file.path : file, facts.first, end});
  }
  return all;
}

}  // namespace

std::vector<Problem> shared_rows(const Search& search, const std::vector<Cell>& cells, const PluginCatalog& catalog,
                                 const Locations& locations) {
  const std::string key = "tune.apart_from";
  std::vector<Problem> problems;
  const std::set<Rows> own = rows_of(cells);
  for (const Value& name : search.apart_from) {
    std::vector<fs::path> tried;
    const fs::path file = find_path(name.as<std::string>(), name.position, locations, "", &tried);
    if (file.empty()) {
      problems.push_back(
          {name.position, key,
           cat("found ", describe(name), ", expected an existing experiment's file; looked for ", places_text(tried))});
      continue;
    }
    try {
      Document other = load_document(file);
      // Only its facts matter: data that is not prepared here, or a search of its own, is no obstacle.
      other.root.erase("tune");
      const Expansion expansion = expand_all(other, catalog, locations, false);
      if (!expansion.problems.empty()) fail(ErrorCode::kInvalidArgument, expansion.problems.front().text());
      for (const Rows& theirs : rows_of(expansion.cells)) {
        for (const Rows& ours : own) {
          if (!ours.meets(theirs)) continue;
          problems.push_back({name.position, key,
                              cat(name.as<std::string>(), " uses ", theirs.text(), " of ",
                                  theirs.file.filename().string(), ", and this search ", ours.text(),
                                  ", expected no row in both: set facts.first here, or facts.limit there")});
        }
      }
    } catch (const Error& error) {
      const std::string message = error.what();
      problems.push_back({name.position, key,
                          cat("found ", describe(name),
                              ", which cannot be read as an experiment: ", message.substr(0, message.find('\n')))});
    }
  }
  return problems;
}

}  // namespace palimpsest::config
