// A tiny world for plugins: a committed checkpoint with random weights, a tokenizer of 145 tokens, two facts, a text.
//
// Every World owns its weights (copies, not the mapped file), so that a plugin that writes into them is found out and
// not killed.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "plugin/instance.hpp"

namespace palimpsest::conformance {

std::filesystem::path data_folder();

class World {
 public:
  // `edited`: the current weights carry one recorded update of layer 1's down-projection.
  explicit World(bool edited = true);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const model::Model& opened() const { return opened_; }
  std::shared_ptr<const plugin::Session> session() const { return session_; }
  palimpsest_model& model() { return model_; }
  palimpsest_model_info info() const { return plugin::model_info_of(opened_.config); }
  // An edited fact, whose targets begin with different tokens, then an intrinsic one, whose targets share theirs.
  const std::vector<const palimpsest_fact*>& facts() const { return pointers_; }
  // The bytes of all three sets of weights.
  std::string weights() const;

 private:
  model::Model opened_;
  std::shared_ptr<plugin::Session> session_;
  palimpsest_model model_;
  std::deque<data::Fact> facts_;
  std::deque<palimpsest_fact> handles_;
  std::vector<const palimpsest_fact*> pointers_;
};

// Values for a plugin's required parameters, and for those whose default does not fit a model of three layers: paths
// get a text file, layers become layer 1, the rest its least value or first choice.
std::vector<plugin::ParameterValue> plausible_values(const palimpsest_descriptor& descriptor);

}  // namespace palimpsest::conformance
