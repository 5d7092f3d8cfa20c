// Parameters of a plugin as one struct: its members carry the defaults, `fields()` names and documents them, and the
// table that the host sees is derived from both while compiling.
//
//   struct Parameters {
//     std::int64_t layer = 5;
//     double v_lr = 0.5;
//     static constexpr auto fields() {
//       return std::tuple(field("layer", &Parameters::layer, "Layer whose MLP is edited.").at_least(0),
//                         field("v_lr", &Parameters::v_lr, "Learning rate of v*.").at_least(0));
//     }
//   };
//
// Member types: bool, std::int64_t, double, Text, Path, List<std::int64_t>, List<double>, List<Text>, and std::optional
// of the scalar ones for a parameter without default.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "palimpsest/descriptor.h"
#include "palimpsest/sdk/error.hpp"

namespace palimpsest::sdk {

// Text of a parameter: a view that lives as long as the instance (or for ever, as a default).
struct Text : palimpsest_text {
  constexpr Text() : palimpsest_text{"", 0} {}
  constexpr Text(const char* literal) : palimpsest_text{literal, std::char_traits<char>::length(literal)} {}
  constexpr explicit Text(palimpsest_text raw) : palimpsest_text(raw) {}
  constexpr operator std::string_view() const { return {data, size}; }
  std::string str() const { return std::string(data, size); }
};

// A file that exists; the host has made it absolute.
struct Path : Text {
  using Text::Text;
};

// A list of at most 64 entries, so that a table of defaults is a constant.
template <typename T>
class List {
 public:
  static constexpr std::size_t kCapacity = 64;
  using Raw = std::conditional_t<std::is_same_v<T, Text>, palimpsest_text, T>;

  constexpr List() = default;
  constexpr List(std::initializer_list<T> items) {
    for (const T& item : items) push_back(item);
  }
  constexpr void push_back(const T& item) {
    if (count_ == kCapacity) fail(PALIMPSEST_OUT_OF_RANGE, "a list parameter holds at most ", kCapacity, " entries");
    items_[count_++] = item;
  }
  constexpr std::size_t size() const { return count_; }
  constexpr bool empty() const { return count_ == 0; }
  constexpr T operator[](std::size_t i) const { return T(items_[i]); }
  constexpr const Raw* data() const { return items_.data(); }

  // Entries by value, so that `for (const auto layer : p.layers)` reads as it should.
  struct Iterator {
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = T;
    const Raw* at = nullptr;
    constexpr T operator*() const { return T(*at); }
    constexpr Iterator& operator++() {
      ++at;
      return *this;
    }
    constexpr Iterator operator++(int) { return {at++}; }
    constexpr bool operator==(const Iterator& other) const = default;
  };
  constexpr Iterator begin() const { return {items_.data()}; }
  constexpr Iterator end() const { return {items_.data() + count_}; }

 private:
  std::array<Raw, kCapacity> items_{};
  std::size_t count_ = 0;
};

template <typename P, typename M>
struct Field {
  const char* name = "";
  M P::* member = nullptr;
  const char* doc = "";
  const char* unit_ = "";
  const char* const* choices_ = nullptr;
  bool required_ = false;
  bool has_min = false, has_max = false;
  double min = 0, max = 0;

  constexpr Field at_least(double bound) const {
    Field f = *this;
    f.has_min = true;
    f.min = bound;
    return f;
  }
  constexpr Field at_most(double bound) const {
    Field f = *this;
    f.has_max = true;
    f.max = bound;
    return f;
  }
  constexpr Field unit(const char* name_of_unit) const {
    Field f = *this;
    f.unit_ = name_of_unit;
    return f;
  }
  // `allowed`: a NULL-terminated array with static storage.
  constexpr Field choices(const char* const* allowed) const {
    Field f = *this;
    f.choices_ = allowed;
    return f;
  }
  constexpr Field required() const {
    Field f = *this;
    f.required_ = true;
    return f;
  }
};

template <typename P, typename M>
constexpr Field<P, M> field(const char* name, M P::* member, const char* doc) {
  return {name, member, doc};
}

namespace detail {

template <typename M>
struct Kind;
template <>
struct Kind<bool> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_BOOLEAN;
  static constexpr void put(palimpsest_parameter_value& value, const bool& x) { value.integer = x ? 1 : 0; }
  static void take(bool& x, const palimpsest_parameter_value& value, std::deque<std::string>&) {
    x = value.integer != 0;
  }
};
template <>
struct Kind<std::int64_t> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_INTEGER;
  static constexpr void put(palimpsest_parameter_value& value, const std::int64_t& x) { value.integer = x; }
  static void take(std::int64_t& x, const palimpsest_parameter_value& value, std::deque<std::string>&) {
    x = value.integer;
  }
};
template <>
struct Kind<double> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_NUMBER;
  static constexpr void put(palimpsest_parameter_value& value, const double& x) { value.number = x; }
  static void take(double& x, const palimpsest_parameter_value& value, std::deque<std::string>&) { x = value.number; }
};
inline Text keep(palimpsest_text raw, std::deque<std::string>& storage) {
  return Text(text(storage.emplace_back(view(raw))));
}
template <>
struct Kind<Text> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_STRING;
  static constexpr void put(palimpsest_parameter_value& value, const Text& x) { value.text = x; }
  static void take(Text& x, const palimpsest_parameter_value& value, std::deque<std::string>& s) {
    x = keep(value.text, s);
  }
};
template <>
struct Kind<Path> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_PATH;
  static constexpr void put(palimpsest_parameter_value& value, const Path& x) { value.text = x; }
  static void take(Path& x, const palimpsest_parameter_value& value, std::deque<std::string>& s) {
    x = Path(keep(value.text, s));
  }
};
template <>
struct Kind<List<std::int64_t>> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_INTEGER_LIST;
  static constexpr void put(palimpsest_parameter_value& value, const List<std::int64_t>& x) {
    value.count = x.size();
    value.integers = x.data();
  }
  static void take(List<std::int64_t>& x, const palimpsest_parameter_value& value, std::deque<std::string>&) {
    x = {};
    for (std::size_t i = 0; i < value.count; ++i) x.push_back(value.integers[i]);
  }
};
template <>
struct Kind<List<double>> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_NUMBER_LIST;
  static constexpr void put(palimpsest_parameter_value& value, const List<double>& x) {
    value.count = x.size();
    value.numbers = x.data();
  }
  static void take(List<double>& x, const palimpsest_parameter_value& value, std::deque<std::string>&) {
    x = {};
    for (std::size_t i = 0; i < value.count; ++i) x.push_back(value.numbers[i]);
  }
};
template <>
struct Kind<List<Text>> {
  static constexpr palimpsest_parameter_type type = PALIMPSEST_PARAMETER_STRING_LIST;
  static constexpr void put(palimpsest_parameter_value& value, const List<Text>& x) {
    value.count = x.size();
    value.texts = x.data();
  }
  static void take(List<Text>& x, const palimpsest_parameter_value& value, std::deque<std::string>& storage) {
    x = {};
    for (std::size_t i = 0; i < value.count; ++i) x.push_back(keep(value.texts[i], storage));
  }
};
template <typename T>
struct Kind<std::optional<T>> {
  static constexpr palimpsest_parameter_type type = Kind<T>::type;
  static void take(std::optional<T>& x, const palimpsest_parameter_value& value, std::deque<std::string>& storage) {
    T taken{};
    Kind<T>::take(taken, value, storage);
    x = taken;
  }
};
template <typename T>
inline constexpr bool is_optional = false;
template <typename T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <typename P>
inline constexpr P kDefaults{};

template <typename P, typename M>
constexpr palimpsest_parameter row(const Field<P, M>& f) {
  palimpsest_parameter r{};
  r.name = f.name;
  r.type = Kind<M>::type;
  r.required = f.required_ ? 1 : 0;
  if constexpr (!is_optional<M>) {
    if (!f.required_) {
      r.default_value.present = 1;
      Kind<M>::put(r.default_value, kDefaults<P>.*(f.member));
    }
  }
  r.has_min = f.has_min ? 1 : 0;
  r.has_max = f.has_max ? 1 : 0;
  r.min = f.min;
  r.max = f.max;
  r.choices = f.choices_;
  r.unit = f.unit_;
  r.doc = f.doc;
  return r;
}

template <typename P>
constexpr auto make_table() {
  return std::apply(
      [](const auto&... fields) { return std::array<palimpsest_parameter, sizeof...(fields)>{row(fields)...}; },
      P::fields());
}

}  // namespace detail

// The table of P, a constant.
template <typename P>
inline constexpr auto kParameterTable = detail::make_table<P>();

// A plugin without parameters.
struct NoParameters {
  static constexpr auto fields() { return std::tuple(); }
};

// P filled from what create received. Texts are kept in `storage`, which must live as long as the result.
template <typename P>
P read_parameters(const palimpsest_parameter_value* values, std::size_t count, std::deque<std::string>& storage) {
  P parameters{};
  constexpr std::size_t expected = kParameterTable<P>.size();
  if (count != expected) fail(PALIMPSEST_INTERNAL, "create received ", count, " parameters; the table has ", expected);
  std::size_t i = 0;
  const auto take = [&](const auto& f) {
    const palimpsest_parameter_value& value = values[i++];
    auto& member = parameters.*(f.member);
    if (value.present != 0) detail::Kind<std::remove_cvref_t<decltype(member)>>::take(member, value, storage);
  };
  std::apply([&](const auto&... fields) { (take(fields), ...); }, P::fields());
  return parameters;
}

}  // namespace palimpsest::sdk
