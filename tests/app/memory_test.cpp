// What `plan` says of memory, against figures worked out by hand for the shapes of Llama-3-8B and of the tiny model.
#include "app/memory.hpp"

#include "app/arguments.hpp"
#include "app/memory_advice.hpp"
#include "app/memory_training.hpp"
#include "driver.hpp"

namespace palimpsest::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// config.json of Meta-Llama-3-8B.
constexpr const char* kLlama =
    R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 128000, "eos_token_id": 128001, "hidden_act": "silu", "hidden_size": 4096,
        "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 8192, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1,
        "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 500000.0, "tie_word_embeddings": false,
        "torch_dtype": "bfloat16", "transformers_version": "4.40.0.dev0", "use_cache": true, "vocab_size": 128256})";

// 2 * 128256 * 4096 of embedding and head, 32 layers of 4096 * (4096 + 1024 + 1024 + 4096) of attention, 3 * 4096 *
// 14336 of MLP and two norms of 4096, and the last norm.
constexpr double kNumbers = 8030261248.0;
constexpr double kGB = 1e9;

WorkerSizes llama() {
  WorkerSizes sizes;
  sizes.model = model::parse_config(kLlama, "test");
  sizes.stored = stored_weights(sizes.model);
  config::Experiment& e = sizes.experiment;
  e.experiment.stages = {config::StageKind::kEdit, config::StageKind::kFinetune};
  e.model.dtype = "bfloat16";
  e.model.device = "cuda";
  e.facts.edited = 50;
  e.facts.selection = "random";
  e.second_moments.tokens = 100000;
  e.second_moments.block = 256;
  e.second_moments.dtype = "float32";
  e.edit.scope = "batch";
  e.tuning.method = "full";
  e.tuning.rank = 8;
  e.tuning.targets = {"attention_query", "attention_key", "attention_value", "attention_out",
                      "mlp_gate",        "mlp_up",        "mlp_down"};
  e.training.block_size = 128;
  e.training.batch_size = 8;
  e.training.accumulation = 1;
  e.training.precision = "float32";
  e.training.optimizer_state = "device";
  e.training.masters = "float32";
  e.run.threads = 1;
  sizes.needs.second_moments = sizes.needs.edits_layers = {4, 5, 6, 7, 8};
  sizes.edits = true;
  return sizes;
}

const MemoryPhase& phase(const std::vector<MemoryPhase>& all, const std::string& name) {
  for (const auto& one : all) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no phase " + name);
}

double part(const MemoryPhase& phase, const std::string& what) {
  for (const auto& one : phase.parts) {
    if (one.what == what) return one.bytes.host + one.bytes.device;
  }
  throw std::runtime_error(phase.name + " has no part " + what);
}

TEST(Memory, WeightsAreCountedFromTheConfigAlone) {
  EXPECT_EQ(numbers_of(model::parse_config(kLlama, "test")), kNumbers);
  const StoredWeights stored = stored_weights(model::parse_config(kLlama, "test"));
  EXPECT_EQ(stored.bytes, 2 * kNumbers);
  EXPECT_EQ(stored.in_place_bfloat16, kNumbers);
  EXPECT_EQ(stored.in_place_float32, 0);
}

TEST(Memory, FullFineTuningInBfloat16HoldsTwentyTwoBytesAWeight) {
  // Weights 2, float32 copies 4, moments 8, their rounding in a pass 2 and as last looked at 2, gradients 4; beside
  // them the embedding's gradient in float32, 2.1 GB, and under 1 GB in all of CUDA, the edits and one layer.
  const auto all = memory_of(llama());
  const MemoryPhase& most = largest(all, llama().experiment);
  EXPECT_EQ(most.name, "fine-tuning");
  const double beside = most.total().device - 22 * kNumbers - 4.0 * 128256 * 4096;
  EXPECT_GT(beside, 0.6 * kGB);
  EXPECT_LT(beside, 1.6 * kGB);
  // The files stay mapped, and the program.
  EXPECT_NEAR(most.total().host, 2 * kNumbers, 0.5 * kGB);
}

TEST(Memory, ActivationsAreThoseThatTheBackwardPassReads) {
  WorkerSizes sizes = llama();
  // A token of a layer on a GPU in bfloat16: two norms with their input in float32, the scaled input and the output;
  // query, keys and values for every head, what attention gives, and a float32 sum a head; gate, silu(gate), up, key.
  const double token = 2 * 4096 * (4 + 2 + 2) + 4 * 2 * 4096 + 4 * 32 + 4 * 2 * 14336;
  EXPECT_EQ(kept_for_backward(sizes, 1024, 128, true).layer, 1024 * token);
  EXPECT_EQ(kept_for_backward(sizes, 1024, 128, true).input, 1024 * 2 * 4096);

  // On the CPU in float32, the shape of SmolLM2: the norms' inputs and outputs; query, keys, values and what attention
  // gives with its weights of 64 tokens in 9 heads; gate, up and key.
  model::Config& m = sizes.model;
  m.hidden = 576, m.heads = 9, m.kv_heads = 3, m.head_dim = 64, m.mlp_width = 1536, m.layers = 30;
  sizes.experiment.model.device = "cpu";
  sizes.experiment.model.dtype = "float32";
  const double small = 4 * (4 * 576 + 2 * 576 + 2 * 192 + 9 * 64 + 3 * 1536);
  EXPECT_EQ(kept_for_backward(sizes, 256, 64, true).layer, 256 * small);
}

TEST(Memory, WhatIsSetChangesWhatItIsAbout) {
  WorkerSizes sizes = llama();
  const double before = phase(memory_of(sizes), "fine-tuning").total().device;

  sizes.experiment.training.optimizer_state = "host";
  const MemoryPhase host = phase(memory_of(sizes), "fine-tuning");
  EXPECT_NEAR(before - host.total().device, 8 * kNumbers, 1);
  EXPECT_NEAR(host.total().host, 10 * kNumbers, 0.5 * kGB);

  // Without masters: trained copies of 2 bytes in place of 4, no roundings (2 + 2), gradients of 2 in place of 4. The
  // gradients are then still more than the activations, which checkpointing lowers: it changes nothing here.
  sizes.experiment.training.masters = "none";
  const double none = phase(memory_of(sizes), "fine-tuning").total().device;
  EXPECT_NEAR(host.total().device - none, 8 * kNumbers, 1);
  sizes.experiment.training.activation_checkpointing = true;
  const double kept = phase(memory_of(sizes), "fine-tuning").total().device;
  EXPECT_EQ(kept, none);
  EXPECT_NEAR(kept, 6 * kNumbers + 4.0 * 128256 * 4096, 1.6 * kGB);

  // In larger batches the end of the forward pass is the fuller instant, and checkpointing leaves an input a layer.
  sizes.experiment.training.batch_size = 64;
  const double input = kept_for_backward(sizes, 64 * 128, 128, true).input;
  const MemoryPhase with = phase(memory_of(sizes), "fine-tuning");
  sizes.experiment.training.activation_checkpointing = false;
  const MemoryPhase without = phase(memory_of(sizes), "fine-tuning");
  const double layer = part(without, "activations") / 32;
  EXPECT_NEAR(part(without, "activations") / (64 * 128 * 32), 2 * 4096 * 8 + 4 * 2 * 4096 + 4 * 32 + 4 * 2 * 14336, 1);
  EXPECT_GT(without.total().device, with.total().device);
  EXPECT_LT(32 * input + layer, part(without, "activations") / 10);

  // Adapters of rank 8 on all seven matrices of a layer: 8 * (in + out) each.
  sizes = llama();
  sizes.experiment.model.dtype = "float32";
  sizes.experiment.tuning.method = "lora";
  const double adapters = 32.0 * 8 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336));
  EXPECT_EQ(part(phase(memory_of(sizes), "fine-tuning"), "two moments of AdamW"), 8 * adapters);
}

TEST(Memory, ABatchsValuesAreThereBeforeItsSolves) {
  const auto has = [](const MemoryPhase& phase, const std::string& what) {
    return std::any_of(phase.parts.begin(), phase.parts.end(), [&](const MemoryPart& p) { return p.what == what; });
  };
  const std::string objective = "contexts and the objective's backward pass",
                    moments = "second moments and their factors";
  // On a GPU they are not in the same memory.
  WorkerSizes sizes = llama();
  EXPECT_TRUE(has(phase(memory_of(sizes), "editing"), objective) && has(phase(memory_of(sizes), "editing"), moments));
  sizes.experiment.model.device = "cpu";
  EXPECT_FALSE(has(phase(memory_of(sizes), "editing"), objective));
  EXPECT_EQ(part(phase(memory_of(sizes), "editing"), moments), 2 * 5 * 8.0 * 14336 * 14336);
  // Keys of the small model are narrow.
  sizes.model.hidden = 576, sizes.model.heads = 9, sizes.model.kv_heads = 3, sizes.model.head_dim = 64;
  sizes.model.mlp_width = 1536, sizes.model.layers = 30;
  EXPECT_TRUE(has(phase(memory_of(sizes), "editing"), objective));
  EXPECT_FALSE(has(phase(memory_of(sizes), "editing"), moments));
}

TEST(Memory, SecondMomentsAreBoundedByTheirGroups) {
  WorkerSizes sizes = llama();
  // 14336 * 14336 float64 numbers a layer: 1.64 GB.
  const double matrix = 8.0 * 14336 * 14336;
  const double all = phase(memory_of(sizes), "second moments").total().device;
  EXPECT_EQ(part(phase(memory_of(sizes), "second moments"), "sums of 5 layers, float64"), 5 * matrix);
  sizes.experiment.second_moments.layers_at_once = 2;
  const double two = phase(memory_of(sizes), "second moments").total().device;
  // The keys of three layers fewer, too: 8 * 256 tokens of bfloat16.
  EXPECT_NEAR(all - two, 3 * (matrix + 2.0 * 8 * 256 * 14336), 1);
}

TEST(Memory, RemediesAreWhatTheyWouldMakeOfIt) {
  const WorkerSizes sizes = llama();
  const auto all = remedies(sizes);
  ASSERT_GE(all.size(), 3U);
  for (const auto& remedy : all) EXPECT_LT(remedy.wanted, largest(memory_of(sizes), sizes.experiment).total().device);
  // Everything together fits a GPU of 80 GB; the text says so.
  EXPECT_LT(all.back().wanted, 80 * kGB);
  const std::string text = advice(sizes, 80.0 * (1 << 30));
  EXPECT_THAT(text, AllOf(HasSubstr("does not fit"), HasSubstr("fine-tuning wants 16"),
                          HasSubstr("two moments of AdamW"), HasSubstr("training.masters = \"none\""),
                          HasSubstr("training.optimizer_state = \"host\""), HasSubstr(": fits")));
  EXPECT_THAT(text, Not(HasSubstr("lora"))) << "not offered in bfloat16";
  EXPECT_THAT(advice(sizes, 200.0 * (1 << 30)), HasSubstr("    fits: at most 16"));
}

TEST(Memory, SizesAreReadAsTheyAreWritten) {
  const auto read = [](const std::string& text) {
    Arguments arguments;
    arguments.options["device-memory"] = {text};
    return arguments.bytes("device-memory").value();
  };
  EXPECT_EQ(read("80G"), 80.0 * (1 << 30));
  EXPECT_EQ(read("80GiB"), 80.0 * (1 << 30));
  EXPECT_EQ(read("80GB"), 80e9);
  EXPECT_EQ(read("512M"), 512.0 * (1 << 20));
  EXPECT_EQ(read("1.5T"), 1.5 * 1024 * (1 << 30));
  for (const char* wrong : {"", "80", "G", "80g", "80Gi", "-1G", "0G", "80G ", "infG", "nanG", "80 G"}) {
    EXPECT_THROW(read(wrong), UsageError) << wrong;
  }
}

using Plan = ProgramTest;

TEST_F(Plan, SaysWhatFitsWithoutTheDeviceAndWithoutTheWeights) {
  std::filesystem::create_directories(folder_ / "llama");
  write("llama/config.json", kLlama);
  write_experiment();
  const std::vector<std::string> words = {
      "plan",  "tiny.toml",           "--set", cat("model.path=", (folder_ / "llama").string()),
      "--set", "model.device=cuda:3", "--set", "model.dtype=bfloat16"};
  // Without the option the model itself is wanted.
  const Outcome without = run(words);
  EXPECT_EQ(without.status, 1);
  EXPECT_THAT(without.err, HasSubstr("holds neither model.safetensors nor"));

  auto with = words;
  with.insert(with.end(), {"--device-memory", "80G"});
  const Outcome plan = run(with);
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.err, HasSubstr("has no weights: sizes are those of its config.json"));
  EXPECT_THAT(plan.out, AllOf(HasSubstr("Of 80.0 GiB a worker:"), HasSubstr("does not fit"),
                              HasSubstr("fine-tuning wants 16"), HasSubstr("GiB of the device")));
  with.back() = "200G";
  EXPECT_THAT(run(with).out, HasSubstr("    fits: at most 16"));
  with.back() = "lots";
  const Outcome wrong = run(with);
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--device-memory wants a size such as 80G, 512M or 80GiB, found \"lots\""));
}

TEST_F(Plan, OfTheProcessorIsHostMemory) {
  write_experiment();
  const Outcome plan = run({"plan", "tiny.toml", "--device-memory", "100M"});
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out,
              AllOf(HasSubstr("does not fit"), HasSubstr("the program and libtorch"), Not(HasSubstr("device"))));
}

}  // namespace
}  // namespace palimpsest::app
