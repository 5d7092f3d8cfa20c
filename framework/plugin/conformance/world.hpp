// A tiny world for plugins: a checkpoint with random weights and its tokenizer, two facts, a text.
//
// Every TinyWorld owns its weights (copies, not the mapped file), so that a plugin that writes into them is found out
// and not killed.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "plugin/instance.hpp"

namespace palimpsest::conformance {

class TinyWorld {
 public:
  // `folder` holds model/ (a Hugging Face folder) and text.txt: tiny/ of an installation's share/palimpsest. `edited`:
  // the current weights carry one recorded update of layer 1's down-projection. Throws what open_model throws.
  explicit TinyWorld(const std::filesystem::path& folder, bool edited = true);
  TinyWorld(const TinyWorld&) = delete;
  TinyWorld& operator=(const TinyWorld&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

  const model::Model& opened() const { return opened_; }
  std::shared_ptr<const plugin::Session> session() const { return session_; }
  palimpsest_model& model() { return model_; }
  palimpsest_model_info info() const { return plugin::model_info_of(opened_.config); }
  // An edited fact, whose targets begin with different tokens, then an intrinsic one, whose targets share theirs.
  const std::vector<const palimpsest_fact*>& facts() const { return pointers_; }
  // The layers whose second moments were asked for so far.
  const std::set<std::int64_t>& moments_asked() const { return *moments_asked_; }
  // The bytes of all three sets of weights.
  std::string weights() const;

 private:
  std::filesystem::path folder_;
  model::Model opened_;
  std::shared_ptr<plugin::Session> session_;
  std::shared_ptr<std::set<std::int64_t>> moments_asked_ = std::make_shared<std::set<std::int64_t>>();
  palimpsest_model model_;
  std::deque<data::Fact> facts_;
  std::deque<palimpsest_fact> handles_;
  std::vector<const palimpsest_fact*> pointers_;
};

// Values for a plugin's required parameters, and for those whose default does not fit a model of three layers and 128
// positions: paths get the world's text file, parameters of unit "layer" become layer 1, templates are left their
// places, the rest its least value or first choice.
std::vector<plugin::ParameterValue> plausible_values(const palimpsest_descriptor& descriptor,
                                                     const std::filesystem::path& folder);

}  // namespace palimpsest::conformance
