// What the tests of the config module share: files in a folder of their own, a catalog of made-up plugins, a complete
// experiment.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/sweep.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::config::testing {

// Messages show its files by the names given here, once `shown` has cut the folder.
class Folder : public TemporaryFolder {
 public:
  std::string shown(std::string text) const {
    const std::string prefix = path().string() + "/";
    for (std::size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }
};

// The message that `call` fails with, "" if it does not fail.
template <typename Call>
std::string message_of(const Folder& folder, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return folder.shown(error.what());
  }
  return "";
}

inline KeySpec spec(const std::string& name, Type type, std::optional<Value> value = {}) {
  KeySpec key;
  key.name = name;
  key.type = type;
  key.default_value = std::move(value);
  key.doc = "Meaning of " + name + ".";
  return key;
}

class FakeCatalog : public PluginCatalog {
 public:
  FakeCatalog() {
    for (const char* kind : {"editor", "augmenter", "freeze_policy"}) plugins_[kind].push_back({"none", "1.0.0", {}});
    KeySpec layer = spec("layer", Type::integer);
    layer.required = true;
    layer.min = 0;
    layer.unit = "layer";
    KeySpec rate = spec("v_lr", Type::number, Value{0.5, {}});
    rate.min = 0;
    rate.above_min = true;
    plugins_["editor"].push_back({"rome", "1.2.0", {layer, rate, spec("templates", Type::string_list)}});
    KeySpec layers = spec("layers", Type::integer_list, Value{Array{}, {}});
    layers.unit = "layer";
    plugins_["editor"].push_back({"memit", "2.0.0", {layers}});
    plugins_["augmenter"].push_back(
        {"paraphrase", "1.0.0", {spec("count", Type::integer, Value{std::int64_t{5}, {}})}});
    plugins_["freeze_policy"].push_back(
        {"edited_layers", "1.0.0", {spec("margin", Type::integer, Value{std::int64_t{0}, {}})}});
    KeySpec first = spec("first", Type::integer, Value{std::int64_t{0}, {}});
    KeySpec last = spec("last", Type::integer, Value{std::int64_t{1}, {}});
    first.unit = last.unit = "layer";
    plugins_["freeze_policy"].push_back({"layer_range", "1.0.0", {first, last}});
    KeySpec file = spec("file", Type::path);
    file.required = true;
    plugins_["task"].push_back({"language_modeling", "1.0.0", {file}});
    plugins_["metric"].push_back({"retention", "1.0.0", {}});
    plugins_["metric"].push_back({"edit_success", "1.0.0", {}});
  }

  const PluginSpec* find(std::string_view kind, std::string_view id) const override {
    const auto list = plugins_.find(std::string(kind));
    if (list == plugins_.end()) return nullptr;
    for (const auto& plugin : list->second) {
      if (plugin.id == id) return &plugin;
    }
    return nullptr;
  }
  std::vector<std::string> available(std::string_view kind) const override {
    std::vector<std::string> ids;
    const auto list = plugins_.find(std::string(kind));
    if (list != plugins_.end()) {
      for (const auto& plugin : list->second) ids.push_back(plugin.id);
    }
    return ids;
  }
  ModelShape model_shape(const std::filesystem::path&) const override {
    if (shape.layers == 0) fail(ErrorCode::kNotFound, "no config.json");
    return shape;
  }

  ModelShape shape{"gpt2", 48, 1600, 50257};

 private:
  std::map<std::string, std::vector<PluginSpec>> plugins_;
};

// The smallest experiment that is right; the tests add to it. Messages count its 13 lines.
inline constexpr const char* kMinimal =
    "[model]\n"
    "path = \"model\"\n"
    "[facts]\n"
    "file = \"facts.jsonl\"\n"
    "edited = 5\n"
    "[editor]\n"
    "id = \"rome\"\n"
    "layer = 5\n"
    "[task]\n"
    "id = \"language_modeling\"\n"
    "file = \"text.jsonl\"\n"
    "[[metric]]\n"
    "id = \"retention\"\n";

// A folder with the files that kMinimal names, and the calls that the app makes.
class Study {
 public:
  Study() {
    folder.write("model/config.json", "{}");
    folder.write("facts.jsonl", "{}\n");
    folder.write("text.jsonl", "{}\n");
    locations = {folder.path(), folder.path() / "root", folder.path() / "root/home"};
  }

  Expansion expand(const std::string& text, const std::vector<std::string>& settings = {}) {
    const auto file = folder.write("a.toml", text);
    return expand_all(load_document(file, settings), catalog, locations);
  }
  // All problems, one line each, with the folder cut away.
  std::string problems(const std::string& text, const std::vector<std::string>& settings = {}) {
    return folder.shown(text_of(expand(text, settings).problems));
  }
  std::vector<std::string> names(const std::string& text, const std::vector<std::string>& settings = {}) {
    const Expansion expansion = expand(text, settings);
    EXPECT_EQ(folder.shown(text_of(expansion.problems)), "");
    std::vector<std::string> out;
    for (const Cell& cell : expansion.cells) out.push_back(cell.name);
    return out;
  }

  Folder folder;
  FakeCatalog catalog;
  Locations locations;
};

}  // namespace palimpsest::config::testing
