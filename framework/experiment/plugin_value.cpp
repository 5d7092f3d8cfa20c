#include "experiment/plugin_value.hpp"

#include <map>

#include "experiment/tensor_file.hpp"

namespace palimpsest::experiment {
namespace {

constexpr const char* kKind = "plugin_value";
constexpr const char* kFile = "value.safetensors";

}  // namespace

plugin::StoreEntry stored_value(Store& store, const Key& key, const std::function<plugin::StoreEntry()>& compute) {
  const auto folder = store.get_or_compute(kKind, key, [&](const std::filesystem::path& building) {
    const plugin::StoreEntry made = compute();
    write_tensors(building / kFile, made.tensors, {made.texts.begin(), made.texts.end()});
  });
  std::map<std::string, std::string> texts;
  plugin::StoreEntry entry;
  entry.tensors = read_tensors(folder / kFile, &texts);
  entry.texts.assign(texts.begin(), texts.end());
  return entry;
}

}  // namespace palimpsest::experiment
