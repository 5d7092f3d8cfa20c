// tests/golden/editors: what the plain Python versions of r_rome, memit, alphaedit and ft computed with the tiny model
// of tests/golden/rome.
#pragma once

#include <map>

#include "editing/golden_rome.hpp"

namespace palimpsest {

class GoldenEditors {
 public:
  static const GoldenEditors& get() {
    static const GoldenEditors golden;
    return golden;
  }

  const Reference& reference() const { return reference_; }
  at::Tensor tensor(const std::string& name) const { return reference_.tensor(name); }
  const nlohmann::json& at(const std::string& editor, const std::string& name) const {
    return cases_.at(editor).at(name);
  }
  std::vector<std::string> names(const std::string& editor) const {
    std::vector<std::string> list;
    for (const auto& entry : cases_.at(editor).items()) list.push_back(entry.key());
    return list;
  }
  std::vector<std::string> contexts() const { return cases_.at("contexts").get<std::vector<std::string>>(); }

  // The calls of a case, each with its requests; what stands behind a request's prompt, subject and target are prompts
  // that are contexts of it.
  std::vector<std::vector<plugin::EditRequest>> calls(const std::string& editor, const std::string& name) const {
    std::vector<std::vector<plugin::EditRequest>> made;
    for (const auto& call : at(editor, name).at("calls")) {
      auto& requests = made.emplace_back();
      for (const auto& r : call) {
        requests.push_back({nullptr, r[0], r[1], r[2], PALIMPSEST_PROMPT_OWN});
        for (std::size_t i = 3; i < r.size(); ++i) {
          requests.push_back({nullptr, r[i], r[1], r[2], PALIMPSEST_PROMPT_AS_CONTEXT});
        }
      }
    }
    return made;
  }
  std::vector<plugin::ParameterValue> parameters(const std::string& editor, const std::string& name) const {
    auto values = parameters_of(at(editor, name).at("parameters"));
    if (editor != "ft") values.push_back(texts("context_templates", contexts()));
    return values;
  }

  // A second moment for each layer.
  std::shared_ptr<plugin::Session> session() const {
    auto made = GoldenRome::get().session();
    made->second_moment = [this](std::int64_t layer) { return moments_.at(layer); };
    return made;
  }
  std::unique_ptr<plugin::Editor> editor(const std::string& id,
                                         const std::vector<plugin::ParameterValue>& values) const {
    return std::make_unique<plugin::Editor>(GoldenRome::find(id), session(), values);
  }

 private:
  GoldenEditors()
      : folder_(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "editors"),
        reference_(folder_ / "reference.safetensors"),
        cases_(nlohmann::json::parse(read_file(folder_ / "cases.json"))) {
    for (std::int64_t layer = 0; layer < 3; ++layer) {
      moments_[layer] = std::make_shared<model::SecondMoment>(tensor("moment." + std::to_string(layer)), 1, layer);
    }
  }

  std::filesystem::path folder_;
  Reference reference_;
  nlohmann::json cases_;
  std::map<std::int64_t, std::shared_ptr<const model::SecondMoment>> moments_;
};

inline double recorded(const plugin::EditResult& result, const std::string& name, std::int64_t request,
                       std::int64_t step = -1) {
  for (const auto& r : result.records) {
    if (r.name == name && r.request == request && r.step == step) return r.value;
  }
  ADD_FAILURE() << "no record " << name << " of request " << request << " at step " << step;
  return 0;
}

inline std::int64_t recorded_steps(const plugin::EditResult& result, std::int64_t request) {
  std::int64_t count = 0;
  for (const auto& r : result.records) count += r.name == "loss" && r.request == request ? 1 : 0;
  return count;
}

// The update of a parameter as a matrix, float64; zeros when there is none.
inline at::Tensor update_of(const plugin::EditResult& result, const std::string& parameter) {
  for (const auto& update : result.updates) {
    if (update.parameter != parameter) continue;
    return update.u.defined() ? update.u.to(at::kDouble).mm(update.v.to(at::kDouble).t())
                              : update.dense.to(at::kDouble);
  }
  ADD_FAILURE() << "no update of " << parameter;
  return {};
}

}  // namespace palimpsest
