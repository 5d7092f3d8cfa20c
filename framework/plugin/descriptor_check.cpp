// What a descriptor must be before the host believes it (framework/abi/palimpsest/descriptor.h).
#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include "base/error.hpp"
#include "palimpsest/palimpsest.h"
#include "plugin/library.hpp"

namespace palimpsest::plugin {
namespace {

struct KindInterface {
  std::string_view kind;
  const char* interface_id;
};
constexpr std::array<KindInterface, 5> kKinds = {{
    {PALIMPSEST_KIND_EDITOR, PALIMPSEST_EDITOR_1},
    {PALIMPSEST_KIND_FINETUNE_TASK, PALIMPSEST_FINETUNE_TASK_1},
    {PALIMPSEST_KIND_AUGMENTER, PALIMPSEST_AUGMENTER_1},
    {PALIMPSEST_KIND_FREEZE_POLICY, PALIMPSEST_FREEZE_POLICY_1},
    {PALIMPSEST_KIND_METRIC, PALIMPSEST_METRIC_1},
}};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

class Checker {
 public:
  explicit Checker(const std::string& where) : where_(where) {}

  template <typename... Parts>
  [[noreturn]] void bad(const Parts&... parts) const {
    fail(ErrorCode::kInvalidArgument, where_, ": malformed: ", parts...);
  }

  void text(const char* value, std::string_view what) const {
    if (value == nullptr || *value == '\0') bad("no ", what);
  }

  void value(const palimpsest_parameter& p, double number) const {
    if (!std::isfinite(number)) bad("parameter \"", p.name, "\" has a default that is not finite");
    if ((p.has_min != 0 && number < p.min) || (p.has_max != 0 && number > p.max)) {
      bad("parameter \"", p.name, "\" has the default ", number, ", outside its own range");
    }
  }

  void choice(const palimpsest_parameter& p, palimpsest_text given) const {
    if (given.data == nullptr) bad("parameter \"", p.name, "\" has a default without text");
    if (p.choices == nullptr) return;
    for (const char* const* c = p.choices; *c != nullptr; ++c) {
      if (std::string_view(*c) == std::string_view(given.data, given.size)) return;
    }
    bad("parameter \"", p.name, "\" has the default \"", std::string_view(given.data, given.size),
        "\", which is no choice of its own");
  }

  void default_value(const palimpsest_parameter& p) const {
    const palimpsest_parameter_value& v = p.default_value;
    if (v.present == 0) return;
    if (p.required != 0) bad("parameter \"", p.name, "\" is required and has a default");
    switch (p.type) {
      case PALIMPSEST_PARAMETER_BOOLEAN:
        if (v.integer != 0 && v.integer != 1) bad("parameter \"", p.name, "\" has a boolean default of ", v.integer);
        break;
      case PALIMPSEST_PARAMETER_INTEGER: value(p, static_cast<double>(v.integer)); break;
      case PALIMPSEST_PARAMETER_NUMBER: value(p, v.number); break;
      case PALIMPSEST_PARAMETER_STRING:
      case PALIMPSEST_PARAMETER_PATH: choice(p, v.text); break;
      default: break;
    }
    for (std::size_t i = 0; i < v.count; ++i) {
      if (p.type == PALIMPSEST_PARAMETER_INTEGER_LIST) value(p, static_cast<double>(v.integers[i]));
      if (p.type == PALIMPSEST_PARAMETER_NUMBER_LIST) value(p, v.numbers[i]);
      if (p.type == PALIMPSEST_PARAMETER_STRING_LIST) choice(p, v.texts[i]);
    }
  }

  void parameter(const palimpsest_parameter& p, std::size_t index) const {
    text(p.name, cat("name of parameter ", index));
    if (!is_name(p.name)) bad("parameter ", index, " is named \"", p.name, "\"; expected lower_snake_case");
    if (std::string_view(p.name) == "id") bad("a parameter is named \"id\", which names the plugin in a configuration");
    if (p.type < PALIMPSEST_PARAMETER_BOOLEAN || p.type > PALIMPSEST_PARAMETER_STRING_LIST) {
      bad("parameter \"", p.name, "\" has the unknown type ", p.type);
    }
    text(p.doc, cat("doc of parameter \"", p.name, "\""));
    if (p.unit == nullptr) bad("no unit of parameter \"", p.name, "\" (\"\" for none)");
    if (p.has_min != 0 && p.has_max != 0 && !(p.min <= p.max)) bad("parameter \"", p.name, "\" has an empty range");
    default_value(p);
  }

 private:
  std::string where_;
};

}  // namespace

void check_descriptor(const palimpsest_descriptor* descriptor, const std::string& where) {
  const Checker check(where);
  const palimpsest_descriptor& d = *descriptor;
  check.text(d.kind, "kind");
  check.text(d.id, "id");
  check.text(d.version, "version");
  check.text(d.summary, "summary");
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return k.kind == d.kind; });
  if (kind == kKinds.end()) {
    std::array<std::string_view, kKinds.size()> names;
    std::transform(kKinds.begin(), kKinds.end(), names.begin(), [](const auto& k) { return k.kind; });
    check.bad("unknown kind \"", d.kind, "\"", did_you_mean(d.kind, names));
  }
  if (!is_name(d.id)) check.bad("the id \"", d.id, "\" is not lower case letters, digits, '_' or '-'");
  if (d.create == nullptr || d.destroy == nullptr || d.get_interface == nullptr) {
    check.bad("create, destroy or get_interface is NULL");
  }
  if (d.parameter_count > 0 && d.parameters == nullptr) check.bad("the parameter table is NULL");
  if (d.parameter_count > 256)
    check.bad("the parameter table has ", d.parameter_count, " rows; at most 256 are accepted");
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < d.parameter_count; ++i) {
    check.parameter(d.parameters[i], i);
    if (!names.insert(d.parameters[i].name).second)
      check.bad("two parameters are named \"", d.parameters[i].name, "\"");
  }
  if (d.get_interface(kind->interface_id) == nullptr)
    check.bad("no interface ", kind->interface_id, ", which its kind must offer");
}

}  // namespace palimpsest::plugin
