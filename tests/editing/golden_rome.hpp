// tests/golden/rome: a tiny model with its tokenizer, and what the plain Python version of ROME computed with it.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "model/model.hpp"
#include "model/safetensors.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugin/instance.hpp"
#include "support/parameters.hpp"

namespace palimpsest {

// Tensors of a reference file by name.
class Reference {
 public:
  explicit Reference(const std::filesystem::path& file) : file_(model::SafetensorsFile::open(file)) {}
  bool has(const std::string& name) const { return file_->find(name) != nullptr; }
  at::Tensor tensor(const std::string& name) const {
    const model::TensorView* view = file_->find(name);
    if (view == nullptr) throw std::runtime_error("the reference has no " + name);
    at::Tensor made = at::empty(view->shape, view->dtype == model::DType::kFloat64 ? at::kDouble : at::kFloat);
    std::memcpy(made.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
    return made;
  }

 private:
  std::shared_ptr<const model::SafetensorsFile> file_;
};

// The parameters of a case, under the editor's names.
inline std::vector<plugin::ParameterValue> parameters_of(const nlohmann::json& parameters) {
  std::vector<plugin::ParameterValue> values;
  for (const auto& [key, value] : parameters.items()) {
    plugin::ParameterValue made;
    made.name = key;
    if (value.is_number_float()) made.number = value;
    if (value.is_number_integer()) made.integer = value;
    if (value.is_boolean()) made.integer = value.get<bool>() ? 1 : 0;
    if (value.is_string()) made.text = value;
    if (value.is_array() && !value.empty() && value[0].is_string()) {
      made.texts = value.get<std::vector<std::string>>();
    }
    if (value.is_array() && !value.empty() && value[0].is_number_integer()) {
      made.integers = value.get<std::vector<std::int64_t>>();
    }
    values.push_back(std::move(made));
  }
  return values;
}

class GoldenRome {
 public:
  static const GoldenRome& get() {
    static const GoldenRome golden;
    return golden;
  }

  at::Tensor tensor(const std::string& name) const { return reference_.tensor(name); }

  std::vector<std::string> contexts() const { return cases_.at("contexts").get<std::vector<std::string>>(); }
  const nlohmann::json& at(const std::string& name) const { return cases_.at("cases").at(name); }
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const auto& entry : cases_.at("cases").items()) list.push_back(entry.key());
    return list;
  }

  plugin::EditRequest request(const std::string& name) const {
    const nlohmann::json& c = at(name);
    return {nullptr, c.at("prompt"), c.at("subject"), c.at("target"), PALIMPSEST_PROMPT_OWN};
  }

  // The parameters of a case, under the editor's names, the contexts among them.
  std::vector<plugin::ParameterValue> parameters(const std::string& name) const {
    std::vector<plugin::ParameterValue> values = parameters_of(at(name).at("parameters"));
    values.push_back(texts("context_templates", contexts()));
    return values;
  }

  // Without anything edited.
  palimpsest_model model(std::uint64_t seed = 0) const {
    palimpsest_model made;
    made.opened = &model_;
    made.base = made.edited = made.current = model_.parameters;
    made.seed = seed;
    return made;
  }

  std::shared_ptr<plugin::Session> session() const {
    auto made = std::make_shared<plugin::Session>();
    made->tokenizer = model_.tokenizer;
    made->second_moment = [moment = moment_](std::int64_t) { return moment; };
    made->get_or_compute = plugin::values_in_memory();
    return made;
  }

  static plugin::Plugin find(const std::string& id) {
    // No probing in a child process: the libraries are this build's own.
    static plugin::Registry registry({std::filesystem::path(PALIMPSEST_PLUGINS)},
                                     {PALIMPSEST_TORCH_TAG, PALIMPSEST_TORCH_VERSION, {}, {}});
    return registry.find("editor", id);
  }

 private:
  GoldenRome()
      : folder_(std::filesystem::path(PALIMPSEST_TEST_DATA) / "golden" / "rome"),
        reference_(folder_ / "reference.safetensors"),
        cases_(nlohmann::json::parse(read_file(folder_ / "cases.json"))),
        model_(model::open_model(folder_ / "model")),
        moment_(std::make_shared<model::SecondMoment>(tensor("second_moment"), 1, 0)) {}

  std::filesystem::path folder_;
  Reference reference_;
  nlohmann::json cases_;
  model::Model model_;
  std::shared_ptr<const model::SecondMoment> moment_;
};

inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  const at::Tensor wanted = b.to(at::kDouble);
  return ((a.to(at::kDouble) - wanted).norm() / wanted.norm()).item<double>();
}

inline bool equal_bits(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() &&
         std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

inline bool equal_bits(const model::Parameters& a, const model::Parameters& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal_bits(a[i], b[i])) return false;
  }
  return a.size() == b.size();
}

}  // namespace palimpsest
