// The tiny world as the tests use it: a model with a tokenizer in which targets of one and of two tokens exist (the one
// that is installed for authors is another).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "plugin/conformance/world.hpp"

namespace palimpsest::conformance {

inline std::filesystem::path data_folder(const std::string& checkpoint = "llama_tied") {
  return std::filesystem::path(PALIMPSEST_BINARY_DIR) / "tests" / "conformance" / checkpoint;
}

// A checkpoint of every family, and of Llama both with its head tied and not. CMakeLists.txt makes a world of each.
inline std::vector<std::string> every_family() {
  return {"llama_tied", "llama_rope3", "gpt2", "gptj", "gpt_neox", "gpt_neox_serial", "mistral", "qwen2", "qwen3"};
}

class World : public TinyWorld {
 public:
  // `checkpoint`: a folder of tests/golden/models with three layers; "llama_rope3" is one whose head is not tied.
  explicit World(bool edited = true, const std::string& checkpoint = "llama_tied")
      : TinyWorld(data_folder(checkpoint), edited) {}
};

}  // namespace palimpsest::conformance
