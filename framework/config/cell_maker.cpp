#include "config/cell_maker.hpp"

#include "base/error.hpp"
#include "base/hash.hpp"

namespace palimpsest::config {
namespace {

constexpr std::size_t kMaxNameBytes = 160;

}  // namespace

std::string value_text(const Value& value, bool id_is_enough) {
  if (value.is<std::string>()) return value.as<std::string>();
  if (value.is<Table>()) {
    const Entry* id = value.as<Table>().find("id");
    if (id && id->value.is<std::string>() && id_is_enough) return id->value.as<std::string>();
    std::string out = id && id->value.is<std::string>() ? id->value.as<std::string>() : "";
    for (const Entry& entry : value.as<Table>().entries) {
      if (entry.key == "id") continue;
      out += cat(out.empty() ? "" : "+", entry.key + "=" + value_text(entry.value, false));
    }
    return out;
  }
  return inline_toml(value);
}

std::optional<Experiment> CellMaker::make(const Table& base, const Table& overlay) {
  Table root = base;
  merge(root, overlay);
  Check check{locations_, check_files_, {}, {}, {}};
  Experiment made = make_experiment(root, document_, catalog_, check);
  for (Problem& problem : check.problems) {
    if (known_problems_.insert(problem.text()).second) out_.problems.push_back(std::move(problem));
  }
  return out_.problems.empty() ? std::optional(std::move(made)) : std::nullopt;
}

std::string CellMaker::add(Cell cell, std::string name) {
  const auto [twin, is_new] = contents_.emplace(sha256_hex(to_toml(cell.experiment)), name);
  if (!is_new) return twin->second;
  if (name.size() > kMaxNameBytes - 8) name = name.substr(0, kMaxNameBytes - 24) + "-" + sha256_hex(name).substr(0, 12);
  const auto& section = cell.experiment.experiment;
  // Where only one role is drawn there is nothing to exchange, and every replicate is a lot of its own.
  const bool pairs = section.swap_roles && cell.experiment.facts.edited > 0 && cell.experiment.facts.intrinsic > 0;
  for (std::int64_t replicate = 0; replicate < section.replicates; ++replicate) {
    cell.name = cat(name, name.empty() ? "r" : ",r", replicate);
    cell.replicate = static_cast<int>(replicate);
    const std::int64_t lot = pairs ? replicate / 2 : replicate;
    cell.roles_seed = static_cast<std::uint64_t>(section.seed + lot);
    cell.swapped = pairs && replicate % 2 == 1;
    cell.paired = cell.swapped || (pairs && replicate + 1 < section.replicates);
    cell.seed = static_cast<std::uint64_t>(section.seed + replicate);
    if (!names_.insert(cell.name).second) {
      fail(ErrorCode::kInternal, "two cells of the sweep are named ", cell.name);
    }
    out_.cells.push_back(cell);
  }
  return "";
}

}  // namespace palimpsest::config
