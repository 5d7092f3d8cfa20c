#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.hpp"
#include "base/files.hpp"
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

TEST(Architectures, RotaryFieldsInsideTheScalingCount) {
  nlohmann::json json = llama();
  json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 500000.0}};
  EXPECT_EQ(parse_config(json.dump(), "config.json").rotary.theta, 500000.0);
  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 7.0}};
  const Config both = parse_config(json.dump(), "config.json");
  EXPECT_EQ(both.rotary.theta, 500000.0);
  EXPECT_EQ(both.rotary.scaling, RotaryScaling::kLinear);
  json["rope_scaling"] = nlohmann::json::object();
  EXPECT_EQ(parse_config(json.dump(), "config.json").rotary.theta, 7.0);
}

TEST(Architectures, RefusesWhatItWouldComputeWrongly) {
  nlohmann::json json = llama();
  json["model_type"] = "lama";
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported),
              HasSubstr("did you mean \"llama\"?); available: gpt2, gptj, gpt_neox, llama"));
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
  json["hidden_act"] = "quick_gelu";
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("hidden_act \"quick_gelu\""));
  json = llama();
  json["pretraining_tp"] = 2;
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("pretraining_tp"));
}

nlohmann::json gpt2() {
  return {{"model_type", "gpt2"},
          {"n_layer", 2},
          {"n_embd", 32},
          {"n_head", 4},
          {"n_inner", nullptr},
          {"n_positions", 128},
          {"n_ctx", 128},
          {"vocab_size", 256},
          {"attn_pdrop", 0.1},
          {"resid_pdrop", 0.1},
          {"embd_pdrop", 0.1},
          {"scale_attn_weights", true},
          {"activation_function", "gelu_new"}};
}

TEST(Architectures, Gpt2) {
  const Config config = parse_config(gpt2().dump(), "config.json");
  EXPECT_EQ(config.mlp_width, 128);
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(config.positions, PositionScheme::kLearned);
  nlohmann::json json = gpt2();
  json["scale_attn_weights"] = false;
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("scale_attn_weights"));
  json = gpt2();
  json["scale_attn_by_inverse_layer_idx"] = true;
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("scale_attn_by_inverse_layer_idx"));
  json["scale_attn_by_inverse_layer_idx"] = false;
  EXPECT_EQ(refusal(json, ErrorCode::kUnsupported), "(accepted)");
  json["add_cross_attention"] = true;
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("add_cross_attention"));
  json = gpt2();
  json["n_head"] = 5;
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("n_embd 32 is no multiple of n_head 5"));
}

TEST(Architectures, GptJ) {
  nlohmann::json json = gpt2();
  json["model_type"] = "gptj";
  json["n_embd"] = 40;
  json["rotary_dim"] = 6;
  const Config config = parse_config(json.dump(), "config.json");
  // 6 of 10 coordinates, not the 5 that 0.6 * 10 may be cut to.
  EXPECT_GE(config.rotary.fraction * 10, 6.0);
  EXPECT_EQ(config.rotary.layout, RotaryLayout::kInterleaved);
  EXPECT_FALSE(config.mlp_norm);
  EXPECT_TRUE(config.head_bias);
  json["rotary_dim"] = 12;
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("rotary_dim 12 is more than a head's width 10"));
  json["rotary_dim"] = 5;
  EXPECT_THAT(refusal(json, ErrorCode::kInvalidArgument), HasSubstr("expected an even number"));
}

TEST(Architectures, GptNeoX) {
  nlohmann::json json = llama();
  json["model_type"] = "gpt_neox";
  json.erase("rope_theta");
  json.erase("num_key_value_heads");
  json.erase("rms_norm_eps");
  json["hidden_act"] = "gelu";
  json["rotary_pct"] = 0.5;
  json["rotary_emb_base"] = 500;
  Config config = parse_config(json.dump(), "config.json");
  EXPECT_EQ(config.rotary.fraction, 0.5);
  EXPECT_EQ(config.rotary.theta, 500);
  EXPECT_TRUE(config.parallel_block && config.mlp_norm && config.qkv_bias);
  json["rope_theta"] = 500;
  EXPECT_EQ(parse_config(json.dump(), "config.json").rotary.theta, 500);
  json["rope_theta"] = 10000;
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("rotary_emb_base decides, and is another"));
  json.erase("rope_theta");
  json["use_parallel_residual"] = false;
  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 20000.0}, {"partial_rotary_factor", 0.25}};
  config = parse_config(json.dump(), "config.json");
  EXPECT_FALSE(config.parallel_block);
  EXPECT_EQ(config.rotary.fraction, 0.25);
  EXPECT_EQ(config.rotary.theta, 20000);
  json["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};
  EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("rope type \"dynamic\""));
}

TEST(Architectures, MistralsWindowIsALimit) {
  nlohmann::json json = llama();
  json["model_type"] = "mistral";
  json["max_position_embeddings"] = 32768;
  EXPECT_EQ(parse_config(json.dump(), "config.json").max_positions, 4096);  // what transformers takes it to be
  json["sliding_window"] = 100;
  const Config config = parse_config(json.dump(), "config.json");
  EXPECT_EQ(config.max_positions, 100);
  EXPECT_THAT(config.limit_text(), HasSubstr("slides over 100 tokens (sliding_window in config.json)"));
  json["sliding_window"] = nullptr;
  EXPECT_EQ(parse_config(json.dump(), "config.json").max_positions, 32768);
}

TEST(Architectures, QwensWindowIsRefusedWhereItIsOn) {
  for (const char* type : {"qwen2", "qwen3"}) {
    nlohmann::json json = llama();
    json["model_type"] = type;
    json["sliding_window"] = 4096;
    json["max_window_layers"] = 1;
    json["use_sliding_window"] = false;
    json["layer_types"] = {"full_attention", "full_attention"};
    const Config config = parse_config(json.dump(), "config.json");
    EXPECT_EQ(config.max_positions, 128);
    EXPECT_EQ(config.qk_norm, std::string(type) == "qwen3");
    EXPECT_EQ(config.qkv_bias, std::string(type) == "qwen2");
    EXPECT_FALSE(config.attention_out_bias);
    json["layer_types"] = {"full_attention", "sliding_attention"};
    EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("\"sliding_attention\" for layer 1"));
    json.erase("layer_types");
    json["use_sliding_window"] = true;
    EXPECT_THAT(refusal(json, ErrorCode::kUnsupported), HasSubstr("\"use_sliding_window\": true"));
  }
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

// The table of what can be opened, in README.md and docs/models.md, is printed from the registry.
TEST(Architectures, TheTableInTheDocsIsCurrent) {
  const std::filesystem::path root = std::filesystem::path(PALIMPSEST_TEST_DATA).parent_path();
  const std::string begin = "<!-- models: printed from framework/model/architectures; PALIMPSEST_UPDATE_DOCS=1 -->\n";
  const std::string end = "<!-- /models -->\n";
  for (const char* page : {"README.md", "docs/models.md"}) {
    const std::string text = read_file(root / page);
    const std::size_t from = text.find(begin), to = text.find(end);
    ASSERT_NE(from, std::string::npos) << page;
    ASSERT_NE(to, std::string::npos) << page;
    const std::string wanted = text.substr(0, from + begin.size()) + markdown_table() + text.substr(to);
    if (std::getenv("PALIMPSEST_UPDATE_DOCS") != nullptr) write_file_atomically(root / page, wanted);
    EXPECT_EQ(read_file(root / page), wanted)
        << page << " is not what the registry says: run this test with PALIMPSEST_UPDATE_DOCS=1 and commit the file";
  }
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
