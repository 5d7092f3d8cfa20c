#include "training/memory.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

using Names = std::array<std::string_view, 2>;
constexpr Names kPlaces = {"device", "host"};
constexpr Names kMasters = {"float32", "none"};

std::size_t find(std::string_view what, std::string_view name, const Names& names) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    fail(ErrorCode::kInvalidArgument, what, ": found \"", name, "\", expected ", names[0], " or ", names[1],
         did_you_mean(name, names));
  }
  return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

StatePlace parse_state_place(std::string_view name) {
  return static_cast<StatePlace>(find("optimizer_state", name, kPlaces));
}
Masters parse_masters(std::string_view name) { return static_cast<Masters>(find("masters", name, kMasters)); }

}  // namespace palimpsest::training
