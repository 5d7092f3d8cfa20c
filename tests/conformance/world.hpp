// The tiny world as the tests use it: the one that is installed for authors.
#pragma once

#include <filesystem>

#include "plugin/conformance/world.hpp"

namespace palimpsest::conformance {

inline std::filesystem::path data_folder() {
  return std::filesystem::path(PALIMPSEST_BINARY_DIR) / "share" / "palimpsest" / "tiny";
}

class World : public TinyWorld {
 public:
  explicit World(bool edited = true) : TinyWorld(data_folder(), edited) {}
};

}  // namespace palimpsest::conformance
