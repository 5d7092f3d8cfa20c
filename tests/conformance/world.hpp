// The tiny world as the tests use it: a model with a tokenizer in which targets of one and of two tokens exist (the one
// that is installed for authors is another).
#pragma once

#include <filesystem>

#include "plugin/conformance/world.hpp"

namespace palimpsest::conformance {

inline std::filesystem::path data_folder() {
  return std::filesystem::path(PALIMPSEST_BINARY_DIR) / "tests" / "conformance" / "world";
}

class World : public TinyWorld {
 public:
  explicit World(bool edited = true) : TinyWorld(data_folder(), edited) {}
};

}  // namespace palimpsest::conformance
