#include "data/fact_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "data/fact_importer.hpp"
#include "data/text.hpp"

namespace palimpsest::data {
namespace {

void check_options(const FactImporter& importer, const std::map<std::string, std::string>& options) {
  std::vector<std::string_view> names;
  for (const ImporterOption& option : importer.options) names.push_back(option.name);
  for (const auto& [name, value] : options) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      fail(ErrorCode::kInvalidArgument, "facts of format ", in_quotes(importer.name), " have no option ",
           in_quotes(name), did_you_mean(name, names));
    }
  }
  for (const ImporterOption& option : importer.options) {
    std::string choices;
    for (const auto& choice : option.choices) choices += cat(choices.empty() ? "" : " or ", in_quotes(choice));
    const auto given = options.find(std::string(option.name));
    if (given == options.end()) {
      fail(ErrorCode::kInvalidArgument, "facts of format ", in_quotes(importer.name), " need the option ", option.name,
           ": ", choices, ". ", option.why);
    }
    if (std::find(option.choices.begin(), option.choices.end(), given->second) == option.choices.end()) {
      fail(ErrorCode::kInvalidArgument, option.name, ": found ", in_quotes(given->second), ", expected ", choices,
           did_you_mean(given->second, option.choices));
    }
  }
}

bool has_signature(const FactImporter& importer, const nlohmann::json& row) {
  return std::all_of(importer.signature.begin(), importer.signature.end(),
                     [&](std::string_view field) { return row.contains(std::string(field)); });
}

// A file of another known format would give every row's worth of errors; say the one thing that helps.
void require_format(const FactImporter& importer, const nlohmann::json& row, const std::string& file,
                    std::int64_t line) {
  if (has_signature(importer, row)) return;
  for (const FactImporter& other : fact_importers()) {
    if (other.name == importer.name || !has_signature(other, row)) continue;
    fail(ErrorCode::kInvalidArgument, file, ":", line, ": the row has the fields of format ", in_quotes(other.name),
         " (", list_text(other.signature), "), expected format ", in_quotes(importer.name),
         "; set format = ", in_quotes(other.name));
  }
}

}  // namespace

FactFile load_facts(const std::filesystem::path& path, const FactOptions& options) {
  const FactImporter& importer = find_fact_importer(options.format);
  check_options(importer, options.options);
  FactFile out;
  out.path = path.string();
  out.format = options.format;
  out.options = options.options;
  const std::string text = read_file(path);
  require_utf8(text, out.path);
  out.sha256 = sha256_hex(text);

  RowErrors errors(out.path);
  std::size_t rows = 0;
  for_each_json_row(text, errors, [&](const nlohmann::json& object, std::int64_t line) {
    if (rows++ == 0) require_format(importer, object, out.path, line);
    const std::size_t before = errors.count();
    std::vector<std::string> warnings;
    Fact fact = importer.read(RowReader(object, line, errors), options.options, warnings);
    fact.line = line;
    for (const auto& warning : warnings) out.warnings.push_back(cat(out.path, ":", line, ": ", warning));
    if (errors.count() != before) return;
    check_fact(fact, options.special_tokens, errors);
    if (errors.count() == before) out.facts.push_back(std::move(fact));
  });
  check_facts_together(out.facts, errors);
  errors.throw_if_any();
  if (out.facts.empty()) fail(ErrorCode::kInvalidArgument, out.path, ": found no rows, expected at least one fact");
  return out;
}

}  // namespace palimpsest::data
