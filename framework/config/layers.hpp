// Layers that a file gives relative to the model -> their numbers, before anything else reads them.
//
// A parameter whose unit is "layer" holds a layer's number, or several. In a file it may also be a fraction of the
// depth (0.35) or "auto", the layers published for the model. Both become numbers here, so that checks, keys of stages
// and results know numbers only. The numbers are compared with the model's depth, which is known before any work.
#pragma once

#include <string>

#include "config/schema.hpp"

namespace palimpsest::config {

// Of the parameters whose unit is a layer's number; "layers" is a count.
inline constexpr std::string_view kLayerUnit = "layer";
bool is_layer(const KeySpec& spec);
// A fraction or "auto", or a list with a fraction in it.
bool is_relative_layer(const Value& value);

// The layer at `fraction` of the way through `layers` of them: the nearest to fraction * layers, 0.35 of 48 is 17.
std::int64_t layer_at(double fraction, std::int64_t layers);

// What a plugin's table is resolved with.
struct LayerContext {
  std::string kind;             // of the plugin
  std::filesystem::path model;  // its folder; empty where it is not known: relative layers become 0
  const PluginCatalog& catalog;
  Check& check;
};

// `table`, a table of `plugin`'s parameters named `prefix`, with its relative layers as numbers. What cannot be
// resolved becomes a problem, and 0. Values that are no layers are check_table()'s matter and stay.
Table resolve_layers(Table table, const std::string& prefix, const PluginSpec& plugin, const LayerContext& context);

// Adds a problem for every layer in `table`, a checked table of `plugin`'s parameters named `prefix`, that the model
// does not have. Nothing where the model cannot be read: that is said of the model itself.
void check_layers(const Table& table, const std::string& prefix, const PluginSpec& plugin, const LayerContext& context);

}  // namespace palimpsest::config
