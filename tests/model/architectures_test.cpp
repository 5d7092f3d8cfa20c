#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.hpp"
#include "model/architectures/registry.hpp"
#include "model/config.hpp"
#include "model/parameters.hpp"

namespace palimpsest::model {
namespace {

using ::testing::HasSubstr;

nlohmann::json llama() {
  return {{"model_type", "llama"},          {"num_hidden_layers", 2},       {"hidden_size", 32},
          {"num_attention_heads", 4},       {"num_key_value_heads", 2},     {"intermediate_size", 64},
          {"max_position_embeddings", 128}, {"rms_norm_eps", 1e-5},         {"vocab_size", 256},
          {"hidden_act", "silu"},           {"tie_word_embeddings", false}, {"rope_theta", 10000.0}};
}

std::string refusal(const nlohmann::json& json, ErrorCode code) {
  try {
    parse_config(json.dump(), "config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "(accepted)";
}

TEST(Architectures, ReadsBothFormsOfTheRotaryFields) {
  nlohmann::json old_form = llama();
  old_form["rope_theta"] = 500000.0;
  old_form["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 32.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192}};
  nlohmann::json new_form = llama();
  new_form.erase("rope_theta");
  new_form["rope_parameters"] = old_form["rope_scaling"];
  new_form["rope_parameters"]["rope_theta"] = 500000.0;
  for (const nlohmann::json& json : {old_form, new_form}) {
    const Config config = parse_config(json.dump(), "config.json");
    EXPECT_EQ(config.rotary.theta, 500000.0);
    EXPECT_EQ(config.rotary.scaling, RotaryScaling::kLlama3);
    EXPECT_EQ(config.rotary.factor, 32.0);
    EXPECT_EQ(config.rotary.original_max_positions, 8192);
    EXPECT_EQ(config.head_dim, 8);
  }
}

TEST(Architectures, RefusesWhatItWouldComputeWrongly) {
  nlohmann::json json = llama();
  json["model_type"] = "lama";
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("did you mean \"llama\"?); available: llama"));
  json = llama();
  json["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 2.0}};
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("rope type \"yarn\""));
  json = llama();
  json["quantization_config"] = {{"bits", 4}};
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("quantization_config"));
  json = llama();
  json["sliding_window"] = 4096;
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("sliding_window"));
  json["sliding_window"] = nullptr;
  EXPECT_EQ(refusal(json, ErrorCode::kUnsupported), "(accepted)");
  json = llama();
  json["hidden_act"] = "gelu_fast";
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("gelu_fast"));
  json = llama();
  json["pretraining_tp"] = 2;
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("pretraining_tp"));
}

TEST(Architectures, RefusesSenselessFields) {
  nlohmann::json json = llama();
  json.erase("hidden_size");
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("\"hidden_size\" is missing"));
  json = llama();
  json["num_hidden_layers"] = "two";
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("\"num_hidden_layers\" is \"two\""));
  json = llama();
  json["num_hidden_layers"] = -1;
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("num_hidden_layers"));
  json = llama();
  json["num_key_value_heads"] = 3;
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("no multiple of num_key_value_heads"));
  json = llama();
  json["hidden_size"] = 30;
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("no multiple of num_attention_heads"));
  EXPECT_THROW(parse_config("{", "config.json"), Error);
  EXPECT_THROW(parse_config("[]", "config.json"), Error);
}

TEST(Architectures, EveryParameterHasOneStoredName) {
  nlohmann::json json = llama();
  json["attention_bias"] = true;
  json["mlp_bias"] = true;
  const Config config = parse_config(json.dump(), "config.json");
  std::set<std::string> names;
  for (const ParameterInfo& info : parameter_infos(config)) {
    EXPECT_TRUE(names.insert(stored_name(kLlama, info.name).name).second) << info.name;
  }
  EXPECT_EQ(stored_name(kLlama, "layers.1.mlp.down.weight").name, "model.layers.1.mlp.down_proj.weight");
  EXPECT_EQ(names.size(), 3U + 2 * (9 + 7));
}

TEST(Parameters, NamesAndCopies) {
  const Config config = parse_config(llama().dump(), "config.json");
  std::vector<at::Tensor> tensors;
  for (const ParameterInfo& info : parameter_infos(config)) tensors.push_back(at::zeros(info.shape));
  const Parameters parameters(parameter_infos(config), tensors);
  EXPECT_EQ(parameters.info("layers.1.mlp.up.weight").layer, 1);
  EXPECT_EQ(name_of(parameters.info("layers.1.mlp.up.weight").role), "mlp_up");
  const Parameters changed = parameters.with("final_norm.weight", at::ones({32}));
  EXPECT_EQ(parameters.at("final_norm.weight").sum().item<double>(), 0.0);
  EXPECT_EQ(changed.at("final_norm.weight").sum().item<double>(), 32.0);
  EXPECT_TRUE(changed.at("embed.weight").is_same(parameters.at("embed.weight")));
  EXPECT_EQ(parameters.find("nothing"), nullptr);
  EXPECT_THROW(parameters.with("final_norm.weight", at::ones({31})), Error);
  try {
    parameters.at("layers.1.mlp.upp.weight");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("did you mean \"layers.1.mlp.up.weight\""));
  }
}

}  // namespace
}  // namespace palimpsest::model
