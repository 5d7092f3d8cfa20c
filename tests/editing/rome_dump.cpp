// rome_dump MODEL_FOLDER REQUESTS.json SECOND_MOMENT.safetensors OUTPUT.safetensors: what the editor rome computes for
// the requests that compare_rome_with_python.py wrote, each on the unedited model.
//
// Requests: {"contexts": [...], "requests": [{"prompt", "subject", "target"}, ...]}, no contexts: the editor samples
// its own; second moment: `mean` [mlp, mlp] F64 of the keys of the editor's default layer. Output, by request: N.left
// [mlp], N.right [hidden], N.delta [hidden].
#include <ATen/ATen.h>

#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/model.hpp"
#include "model/safetensors.hpp"
#include "model/safetensors_writer.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugin/instance.hpp"
#include "support/parameters.hpp"

namespace palimpsest {
namespace {

void dump(char** arguments) {
  const model::Model opened = model::open_model(arguments[1]);
  const nlohmann::json document = nlohmann::json::parse(read_file(arguments[2]));
  const auto file = model::SafetensorsFile::open(arguments[3]);
  const model::TensorView* view = file->find("mean");
  if (view == nullptr || view->dtype != model::DType::kFloat64) {
    fail(ErrorCode::kInvalidArgument, arguments[3], ": expected an F64 tensor mean");
  }
  const at::Tensor mean = at::empty(view->shape, at::kDouble);
  std::memcpy(mean.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
  auto session = std::make_shared<plugin::Session>();
  session->tokenizer = opened.tokenizer;
  session->second_moment = [moment = std::make_shared<model::SecondMoment>(mean, 1, 0)](std::int64_t) {
    return moment;
  };

  plugin::Registry registry({PALIMPSEST_PLUGINS}, {PALIMPSEST_TORCH_TAG, PALIMPSEST_TORCH_VERSION, {}, {}});
  plugin::Editor editor(registry.find("editor", "rome"), session,
                        {texts("context_templates", document.at("contexts").get<std::vector<std::string>>())});

  std::vector<std::pair<std::string, at::Tensor>> made;
  for (std::size_t i = 0; i < document.at("requests").size(); ++i) {
    const nlohmann::json& r = document.at("requests")[i];
    palimpsest_model model;
    model.opened = &opened;
    model.base = model.edited = model.current = opened.parameters;
    const std::vector<plugin::EditRequest> requests = {
        {nullptr, r.at("prompt"), r.at("subject"), r.at("target"), PALIMPSEST_PROMPT_OWN}};
    const plugin::EditResult result = editor.apply(model, requests);
    double factor = 0;
    for (const auto& record : result.records) {
      if (record.name == "division_factor") factor = record.value;
    }
    const model::Update& update = result.updates.at(0);
    made.emplace_back(cat(i, ".left"), update.v.squeeze(1).contiguous());
    made.emplace_back(cat(i, ".right"), update.u.squeeze(1).contiguous());
    made.emplace_back(cat(i, ".delta"), (update.u.squeeze(1) * factor).contiguous());
  }
  std::vector<model::NamedTensor> tensors;
  for (const auto& [name, tensor] : made) {
    tensors.push_back({name,
                       model::DType::kFloat32,
                       {tensor.size(0)},
                       {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  model::write_safetensors(arguments[4], tensors);
}

}  // namespace
}  // namespace palimpsest

int main(int count, char** arguments) {
  if (count != 5) {
    std::cerr << "usage: rome_dump MODEL_FOLDER REQUESTS.json SECOND_MOMENT.safetensors OUTPUT.safetensors\n";
    return 2;
  }
  try {
    palimpsest::dump(arguments);
  } catch (const std::exception& error) {
    std::cerr << "rome_dump: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
