#include "config/sweep.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "config/cell_maker.hpp"
#include "config/experiment_schema.hpp"

namespace palimpsest::config {
namespace {

constexpr std::size_t kMaxLabelBytes = 48;
// Past so many problems a further cell teaches the reader nothing.
constexpr std::size_t kEnoughProblems = 1000;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._=+-").find(c) != std::string_view::npos;
}

// `text` with everything that does not belong into a file name replaced, and cut; what is cut shows as a digest.
std::string file_label(const std::string& text) {
  std::string out;
  for (const char c : text) out += is_plain(c) ? c : '-';
  if (out.empty()) out = "empty";
  if (out.size() > kMaxLabelBytes) out = out.substr(0, kMaxLabelBytes - 9) + "-" + sha256_hex(text).substr(0, 8);
  return out;
}

struct Alternative {
  std::string label;  // for the cell's name
  std::string text;   // for the coordinates
  Table overlay;
};

struct Axis {
  std::string key;                 // dotted, or "variant"
  std::vector<std::string> parts;  // of the key
  std::string short_name;          // before `=` in names; "" for variants
  Position position;
  std::vector<Alternative> alternatives;
};

// What a table says at a place; null where it says nothing there.
const Value* value_at(const Table& table, std::span<const std::string> parts) {
  const Entry* entry = table.find(parts.front());
  if (entry == nullptr) return nullptr;
  if (parts.size() == 1) return &entry->value;
  return entry->value.is<Table>() ? value_at(entry->value.as<Table>(), parts.subspan(1)) : nullptr;
}

// `more` over `overlay`, as merge() does, but a table without `id` is completed by one that has it: a swept id and a
// swept parameter of that plugin go together, in whatever order they come.
void combine(Table& overlay, const Table& more) {
  for (const Entry& entry : more.entries) {
    Entry* below = overlay.find(entry.key);
    if (!below || !below->value.is<Table>() || !entry.value.is<Table>()) {
      overlay.set(entry.key, entry.value, entry.key_position);
      continue;
    }
    const Entry* id = entry.value.as<Table>().find("id");
    const Entry* id_below = below->value.as<Table>().find("id");
    if (id && id_below && !same(id->value, id_below->value)) {
      overlay.set(entry.key, entry.value, entry.key_position);
    } else {
      combine(below->value.as<Table>(), entry.value.as<Table>());
    }
  }
}

class Expander {
 public:
  Expander(const Document& document, const PluginCatalog& catalog, const Locations& locations, bool check_files)
      : start_{document.source, 1, 1}, base_(document.root), maker_(document, catalog, locations, check_files, out_) {}

  Expansion expand() {
    Position sweep_position = start_;
    if (const Entry* sweep = base_.find("sweep")) {
      sweep_position = sweep->value.position;
      read_sweep(*sweep);
    }
    base_.erase("sweep");
    name_axes();
    check_chosen_values();
    std::size_t points = count_points(sweep_position);
    // With a sweep that cannot be expanded, its first point still shows what is wrong with the rest.
    if (!out_.problems.empty()) points = 1;
    for (std::size_t point = 0; point < points && out_.problems.size() < kEnoughProblems; ++point) add_point(point);
    sort_problems(out_.problems);
    return std::move(out_);
  }

 private:
  void add(const Position& position, const std::string& key, const std::string& message) {
    out_.problems.push_back({position, key, message});
  }

  void read_sweep(const Entry& sweep) {
    if (!sweep.value.is<Table>()) {
      add(sweep.value.position, "sweep", cat("found ", describe(sweep.value), ", expected a table [sweep]"));
      return;
    }
    for (const Entry& entry : sweep.value.as<Table>().entries) {
      if (entry.key == "variants") {
        read_variants(entry);
      } else {
        try {
          read_key(entry, split_key(entry.key));
        } catch (const Error& error) {
          add(entry.key_position, "sweep", error.what());
        }
      }
    }
    // Variants come after the keys, wherever they stand in the file: TOML puts [[sweep.variants]] behind anyway.
    std::stable_partition(axes_.begin(), axes_.end(), [](const Axis& axis) { return !axis.short_name.empty(); });
  }

  // A swept key; `a.b = [...]` without quotes arrives as a table of tables.
  void read_key(const Entry& entry, const std::vector<std::string>& parts) {
    const std::string key = join_key(parts);
    if (entry.value.is<Table>()) {
      for (const Entry& inner : entry.value.as<Table>().entries) {
        auto longer = parts;
        const auto more = split_key(inner.key);
        longer.insert(longer.end(), more.begin(), more.end());
        read_key(inner, longer);
      }
      return;
    }
    if (!known(parts, entry.key_position)) return;
    if (!entry.value.is<Array>() || entry.value.as<Array>().empty()) {
      add(entry.value.position, "sweep." + key,
          cat("found ", entry.value.is<Array>() ? "an empty list" : describe(entry.value),
              ", expected a list of alternatives"));
      return;
    }
    if (std::any_of(axes_.begin(), axes_.end(), [&](const Axis& axis) { return axis.key == key; })) {
      add(entry.key_position, "sweep." + key, "found the key a second time, expected each swept key once");
      return;
    }
    Axis axis{key,
              parts,
              parts.size() > 1 && parts.back() == "id" ? parts[parts.size() - 2] : parts.back(),
              entry.key_position,
              {}};
    const auto& values = entry.value.as<Array>();
    std::map<std::string, int> ids;
    for (const Value& value : values) ++ids[value.is<Table>() ? value_text(value, true) : ""];
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::any_of(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(i),
                      [&](const Value& earlier) { return same(earlier, values[i]); })) {
        add(values[i].position, "sweep." + key,
            cat("found ", describe(values[i]), " a second time, expected each alternative once"));
        continue;
      }
      Alternative alternative;
      alternative.text = value_text(values[i], values[i].is<Table>() && ids[value_text(values[i], true)] == 1);
      alternative.label = file_label(alternative.text);
      assign(alternative.overlay, parts, values[i], entry.key_position);
      refuse_fixed(alternative.overlay, {});
      axis.alternatives.push_back(std::move(alternative));
    }
    make_labels_unique(axis);
    axes_.push_back(std::move(axis));
  }

  // Whether the schema has such a key. Keys of plugin tables are the plugins' matter, checked in every cell.
  bool known(const std::vector<std::string>& parts, const Position& position) {
    const std::string key = "sweep." + join_key(parts);
    std::vector<std::string> names;
    for (const TableSpec& table : experiment_tables()) {
      if (table.name == parts[0]) {
        if (table.repeated && parts.size() > 1) {
          add(position, key,
              cat("found a key inside a list of tables, expected whole lists of [[", table.name, "]] as alternatives"));
          return false;
        }
        if (table.plugin || parts.size() == 1) return true;
        names.clear();
        for (const KeySpec& spec : table.keys) {
          if (spec.name == parts[1] && parts.size() == 2) return true;
          names.push_back(table.name + "." + spec.name);
        }
        break;
      }
      names.push_back(table.name);
    }
    if (parts.size() == 1 && parts[0] == "plugin_path") return true;  // refuse_fixed names the reason
    const bool in_table = names.front().find('.') != std::string::npos;
    std::string near = did_you_mean(in_table ? join_key(parts) : parts[0], names);
    add(position, key,
        cat("found an unknown key, expected a key of the experiment", near.empty() ? ": " + list_text(names) : near));
    return false;
  }

  // Keys that hold for the experiment as a whole cannot differ between its cells.
  void refuse_fixed(const Table& overlay, const std::vector<std::string>& prefix) {
    for (const Entry& entry : overlay.entries) {
      auto parts = prefix;
      parts.push_back(entry.key);
      if (parts.size() == 1 && entry.value.is<Table>()) {
        refuse_fixed(entry.value.as<Table>(), parts);
        continue;
      }
      const std::vector<KeySpec>* keys = nullptr;
      if (parts.size() == 1) keys = &top_level_keys();
      for (const TableSpec& table : experiment_tables()) {
        if (parts.size() == 2 && table.name == parts[0]) keys = &table.keys;
      }
      const bool fixed = keys && std::any_of(keys->begin(), keys->end(), [&](const KeySpec& spec) {
                           return spec.name == entry.key && spec.per_experiment;
                         });
      if (fixed || parts[0] == "sweep" || parts[0] == "extends") {
        add(entry.key_position, "sweep." + join_key(parts),
            "found a key that is the same for all cells, expected it outside [sweep]");
      }
    }
  }

  void read_variants(const Entry& entry) {
    if (!entry.value.is<Array>() || entry.value.as<Array>().empty()) {
      add(entry.value.position, "sweep.variants",
          cat("found ", entry.value.is<Array>() ? "an empty list" : describe(entry.value),
              ", expected a list of tables [[sweep.variants]]"));
      return;
    }
    Axis axis{"variant", {}, "", entry.key_position, {}};
    std::set<std::string> seen;
    const auto& items = entry.value.as<Array>();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string key = cat("sweep.variants[", i, "]");
      if (!items[i].is<Table>()) {
        add(items[i].position, key, cat("found ", describe(items[i]), ", expected a table [[sweep.variants]]"));
        continue;
      }
      Alternative alternative;
      alternative.overlay = items[i].as<Table>();
      const Entry* name = items[i].as<Table>().find("name");
      const bool named = name && name->value.is<std::string>();
      const std::string text = named ? name->value.as<std::string>() : "";
      if (text.empty() || text.size() > kMaxLabelBytes || !std::all_of(text.begin(), text.end(), is_plain) ||
          text.front() == '.' || text.front() == '-') {
        add(name ? name->value.position : items[i].position, key + ".name",
            cat("found ", name ? describe(name->value) : "nothing", ", expected a name of 1 to ", kMaxLabelBytes,
                " letters, digits, `.`, `_`, `=`, `+` and `-`, the first neither `.` nor `-`"));
      } else if (!seen.insert(text).second) {
        add(name->value.position, key + ".name", cat("found \"", text, "\" a second time, expected each variant once"));
      }
      alternative.overlay.erase("name");
      alternative.label = alternative.text = text;
      // Dotted keys in quotes mean what they mean in [sweep].
      Table overlay;
      for (const Entry& inner : alternative.overlay.entries) {
        try {
          const auto parts = split_key(inner.key);
          if (parts.size() == 1) {
            overlay.set(inner.key, inner.value, inner.key_position);
          } else {
            assign(overlay, parts, inner.value, inner.key_position);
          }
        } catch (const Error& error) {
          add(inner.key_position, key, error.what());
        }
      }
      refuse_fixed(overlay, {});
      alternative.overlay = std::move(overlay);
      axis.alternatives.push_back(std::move(alternative));
    }
    if (!axis.alternatives.empty()) axes_.push_back(std::move(axis));
  }

  static void make_labels_unique(Axis& axis) {
    std::set<std::string> taken;
    for (Alternative& alternative : axis.alternatives) {
      std::string label = alternative.label;
      for (int n = 2; !taken.insert(label).second; ++n) label = cat(alternative.label, "-", n);
      alternative.label = label;
    }
  }

  // Names in cells are the last part of the key; the whole key where two axes share it.
  void name_axes() {
    std::map<std::string, int> uses;
    for (const Axis& axis : axes_) ++uses[axis.short_name];
    for (Axis& axis : axes_) {
      if (axis.short_name.empty()) continue;
      axis.short_name = file_label(uses[axis.short_name] > 1 ? axis.key : axis.short_name);
    }
  }

  // A variant that sets a swept key stands at one alternative of that axis, which has to be there.
  void check_chosen_values() {
    if (axes_.empty() || !axes_.back().parts.empty()) return;
    for (const Alternative& variant : axes_.back().alternatives) {
      for (const Axis& axis : axes_) {
        if (axis.parts.empty() || stands_at(variant, axis, nullptr)) continue;
        const Value* own = value_at(variant.overlay, axis.parts);
        add(own->position, cat("sweep.variants ", variant.text, ".", axis.key),
            cat("found ", describe(*own), ", which is none of the swept alternatives of ", axis.key,
                "; expected one of them, or nothing: a variant that sets a swept key stands at that value alone"));
      }
    }
  }

  // Whether the variant goes with the alternative of the axis; with null, whether it goes with any.
  static bool stands_at(const Alternative& variant, const Axis& axis, const Alternative* alternative) {
    const Value* own = value_at(variant.overlay, axis.parts);
    // A plugin's table without an id adds to each alternative and chooses none.
    if (own == nullptr || (own->is<Table>() && !own->as<Table>().find("id"))) return true;
    const auto equal = [&](const Alternative& one) { return same(*own, *value_at(one.overlay, axis.parts)); };
    return alternative != nullptr ? equal(*alternative)
                                  : std::any_of(axis.alternatives.begin(), axis.alternatives.end(), equal);
  }

  std::size_t count_points(const Position& sweep_position) {
    std::int64_t replicates = 1;
    if (const Entry* table = base_.find("experiment"); table && table->value.is<Table>()) {
      const Entry* entry = table->value.as<Table>().find("replicates");
      // A wrong value is reported by the check of the table.
      if (entry && entry->value.is<std::int64_t>())
        replicates = std::clamp<std::int64_t>(entry->value.as<std::int64_t>(), 1, 10000);
    }
    constexpr std::size_t kMany = std::numeric_limits<std::size_t>::max();
    std::size_t points = 1;
    std::string product;
    for (const Axis& axis : axes_) {
      const std::size_t n = axis.alternatives.size();
      points = points > kMany / n ? kMany : points * n;
      product += cat(product.empty() ? "" : " x ", n);
    }
    if (replicates > 1) product += cat(product.empty() ? "" : " x ", replicates, " replicates");
    if (points > kMaxCells / static_cast<std::size_t>(replicates)) {
      add(sweep_position, "sweep", cat("found ", product, " cells, expected at most ", kMaxCells));
    }
    return points;
  }

  void add_point(std::size_t point) {
    std::vector<const Alternative*> chosen(axes_.size());
    std::size_t rest = point;
    for (std::size_t i = axes_.size(); i-- > 0;) {
      chosen[i] = &axes_[i].alternatives[rest % axes_[i].alternatives.size()];
      rest /= axes_[i].alternatives.size();
    }
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      if (!axes_[i].parts.empty() && axes_.back().parts.empty() && !stands_at(*chosen.back(), axes_[i], chosen[i]))
        return;
    }
    Cell cell;
    std::string name;
    Table overlay;
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      combine(overlay, chosen[i]->overlay);
      cell.coordinates.emplace_back(axes_[i].key, chosen[i]->text);
      if (!axes_[i].short_name.empty())
        name += cat(name.empty() ? "" : ",", axes_[i].short_name + "=" + chosen[i]->label);
    }
    if (!axes_.empty() && axes_.back().short_name.empty())
      name = chosen.back()->label + (name.empty() ? "" : ",") + name;
    std::optional<Experiment> made = maker_.make(base_, overlay);
    if (!made) return;
    cell.experiment = std::move(*made);
    if (const std::string twin = maker_.add(cell, name); !twin.empty()) {
      add(axes_.front().position, "sweep",
          cat("found two equal cells, ", twin, " and ", name, ", expected every cell to differ from the others"));
    }
  }

  Position start_;
  Table base_;
  std::vector<Axis> axes_;
  Expansion out_;
  CellMaker maker_;
};

}  // namespace

Expansion expand_all(const Document& document, const PluginCatalog& catalog, const Locations& locations,
                     bool check_files) {
  if (document.root.find("tune") != nullptr) return expand_search(document, catalog, locations, check_files);
  return Expander(document, catalog, locations, check_files).expand();
}

std::vector<Cell> expand(const Document& document, const PluginCatalog& catalog, const Locations& locations) {
  Expansion expansion = expand_all(document, catalog, locations);
  if (!expansion.problems.empty()) fail(ErrorCode::kInvalidArgument, text_of(expansion.problems));
  return std::move(expansion.cells);
}

std::string to_toml(const Cell& cell) {
  Table root = cell.experiment.resolved;
  // Where results lie, how workers are bounded and which of several like devices they have changes no number: equal
  // cells of two places are equal texts.
  root.erase("plugin_path");
  root.find("experiment")->value.as<Table>().erase("output");
  root.find("second_moments")->value.as<Table>().erase("layers_at_once");
  for (const char* key : {"jobs", "node_seconds", "node_memory"}) root.find("run")->value.as<Table>().erase(key);
  Value& device = root.find("model")->value.as<Table>().find("device")->value;
  device.data = device_type(cell.experiment.model.device);
  Table coordinates;
  for (const auto& [key, value] : cell.coordinates) coordinates.set(key, Value{value, {}});
  Table table;
  table.set("name", Value{cell.name, {}});
  table.set("replicate", Value{static_cast<std::int64_t>(cell.replicate), {}});
  table.set("roles_seed", Value{static_cast<std::int64_t>(cell.roles_seed), {}});
  table.set("swapped", Value{cell.swapped, {}});
  table.set("seed", Value{static_cast<std::int64_t>(cell.seed), {}});
  table.set("coordinates", Value{std::move(coordinates), {}});
  root.set("cell", Value{std::move(table), {}});
  return canonical_toml(root);
}

}  // namespace palimpsest::config
