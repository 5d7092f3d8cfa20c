#include "model/model.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/golden_model.hpp"
#include "model/safetensors_writer.hpp"
#include "model/weight_files.hpp"

namespace palimpsest::model {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ModelFolder : public ::testing::Test {
 protected:
  ModelFolder() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = fs::path(::testing::TempDir()) / cat("palimpsest_", ::getpid(), "_", test->name());
    fs::create_directories(folder);
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::copy_file(golden_folder("llama_tied") / name, folder / name, fs::copy_options::overwrite_existing);
    }
  }
  ~ModelFolder() override { fs::remove_all(folder); }

  std::string refusal(ErrorCode code, const OpenOptions& options = {}) {
    try {
      open_model(folder, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "(opened)";
  }

  // Writes the tensors of `name` into the folder, changed, and its config.
  void rewrite(const std::function<void(std::vector<NamedTensor>&)>& change, const std::string& name = "llama_tied") {
    fs::copy_file(golden_folder(name) / "config.json", folder / "config.json", fs::copy_options::overwrite_existing);
    const auto file = SafetensorsFile::open(golden_folder(name) / "model.safetensors");
    std::vector<NamedTensor> tensors;
    for (const TensorView& view : file->tensors()) tensors.push_back({view.name, view.dtype, view.shape, view.bytes});
    change(tensors);
    write_safetensors(folder / "model.safetensors", tensors);
  }

  static NamedTensor& named(std::vector<NamedTensor>& tensors, const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const NamedTensor& tensor) { return tensor.name == name; });
  }

  fs::path folder;
};

// Whether the bytes lie in the mapped file, by the kernel's list of mappings.
bool is_in_file(const at::Tensor& tensor, const fs::path& file) {
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream(line) >> std::hex >> begin >> dash >> end;
    if (begin <= address && address < end) return line.ends_with(fs::canonical(file).string());
  }
  return false;
}

TEST_F(ModelFolder, MissingWrongAndExtraTensorsAreNamed) {
  rewrite([](auto& tensors) { named(tensors, "model.norm.weight").name = "model.nrm.weight"; });
  EXPECT_THAT(
      refusal(ErrorCode::kNotFound),
      HasSubstr("model.norm.weight (final_norm.weight, shape [32]) is missing (did you mean \"model.nrm.weight\"?)"));
  rewrite([](auto& tensors) { named(tensors, "model.layers.1.mlp.up_proj.weight").shape = {32, 64}; });
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument),
              HasSubstr("model.layers.1.mlp.up_proj.weight has shape [32, 64], expected [64, 32]"));
  static const std::vector<float> kFour(4, 1.0F);
  const auto bytes = std::as_bytes(std::span(kFour));
  rewrite([&](auto& tensors) { tensors.push_back({"model.layers.0.adapter", DType::kFloat32, {4}, bytes}); });
  EXPECT_THAT(refusal(ErrorCode::kUnsupported), HasSubstr("model.layers.0.adapter of shape [4] does not belong"));
  rewrite([&](auto& tensors) {
    tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", DType::kFloat32, {4}, bytes});
  });
  EXPECT_EQ(refusal(ErrorCode::kUnsupported), "(opened)");
  rewrite([](auto& tensors) {
    NamedTensor& tensor = named(tensors, "model.norm.weight");
    tensor.dtype = DType::kInt32;
  });
  EXPECT_THAT(refusal(ErrorCode::kUnsupported), HasSubstr("model.norm.weight is stored as I32"));
}

// As the files of the published GPT-2 are: saved without the head's class, with the tables of the attention mask.
TEST_F(ModelFolder, PrefixMayLackAndBuffersAreNoWeights) {
  const std::vector<std::uint8_t> table(128 * 128, 1);
  const std::vector<float> one(1, -1e4F);
  rewrite(
      [&](auto& tensors) {
        for (NamedTensor& tensor : tensors) tensor.name = tensor.name.substr(std::string("transformer.").size());
        tensors.push_back({"h.0.attn.bias", DType::kUInt8, {1, 1, 128, 128}, std::as_bytes(std::span(table))});
        tensors.push_back({"h.0.attn.masked_bias", DType::kFloat32, {}, std::as_bytes(std::span(one))});
      },
      "gpt2");
  const Model bare = open_model(folder), whole = open_model(golden_folder("gpt2"));
  for (std::size_t i = 0; i < whole.parameters.size(); ++i) {
    EXPECT_TRUE(equal_bits(bare.parameters[i], whole.parameters[i])) << whole.parameters.infos()[i].name;
  }
  // Some with and some without is no such file.
  rewrite([](auto& tensors) { named(tensors, "transformer.wpe.weight").name = "wpe.weight"; }, "gpt2");
  EXPECT_THAT(refusal(ErrorCode::kNotFound), HasSubstr("transformer.wpe.weight (positions.weight"));
}

TEST_F(ModelFolder, AFusedTensorIsNamedAsItIsStored) {
  rewrite([](auto& tensors) { named(tensors, "transformer.h.1.attn.c_attn.weight").shape = {96, 32}; }, "gpt2");
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument),
              HasSubstr("transformer.h.1.attn.c_attn.weight has shape [96, 32], expected [32, 96]"));
  rewrite([](auto& tensors) { named(tensors, "gpt_neox.layers.2.attention.query_key_value.bias").name = "lost"; },
          "gpt_neox");
  EXPECT_THAT(
      refusal(ErrorCode::kNotFound),
      HasSubstr("gpt_neox.layers.2.attention.query_key_value.bias (layers.2.attention.query.bias, shape [96])"));
}

// Names, orientation, fusing: all that transformers wrote comes back as it was.
TEST_F(ModelFolder, SavedTensorsAreThoseThatWereRead) {
  for (const std::string& name : golden_names()) {
    const auto checkpoint = WeightFiles::open(golden_folder(name));
    OpenOptions options;
    const DType dtype = checkpoint->tensors().front()->dtype;
    if (dtype == DType::kBFloat16) options.dtype = at::kBFloat16;
    if (dtype == DType::kFloat16) options.dtype = at::kHalf;
    save_model(open_model(golden_folder(name), options), folder);
    const auto saved = SafetensorsFile::open(folder / "model.safetensors");
    EXPECT_EQ(saved->tensors().size(), checkpoint->tensors().size()) << name;
    for (const TensorView* wanted : checkpoint->tensors()) {
      const TensorView* found = saved->find(wanted->name);
      ASSERT_NE(found, nullptr) << name << ": " << wanted->name;
      EXPECT_EQ(found->shape, wanted->shape) << name << ": " << wanted->name;
      EXPECT_TRUE(std::ranges::equal(found->bytes, wanted->bytes)) << name << ": " << wanted->name;
    }
  }
}

TEST_F(ModelFolder, DamagedFilesAreRefused) {
  fs::resize_file(folder / "model.safetensors", 100000);
  EXPECT_THAT(refusal(ErrorCode::kCorrupt), HasSubstr("model.safetensors"));
  fs::remove(folder / "model.safetensors");
  EXPECT_NE(refusal(ErrorCode::kNotFound), "(opened)");
  fs::remove(folder / "config.json");
  EXPECT_THAT(refusal(ErrorCode::kNotFound), HasSubstr("config.json"));
  fs::remove_all(folder);
  EXPECT_THAT(refusal(ErrorCode::kNotFound), HasSubstr("expected a model folder"));
}

TEST_F(ModelFolder, NotANumberIsFoundWhenAskedFor) {
  const auto file = SafetensorsFile::open(golden_folder("llama_tied") / "model.safetensors");
  std::vector<float> values(32, 1.0F);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  rewrite([&](auto& tensors) { named(tensors, "model.norm.weight").bytes = std::as_bytes(std::span(values)); });
  EXPECT_EQ(refusal(ErrorCode::kNumeric), "(opened)");
  OpenOptions options;
  options.check_finite = true;
  EXPECT_THAT(refusal(ErrorCode::kNumeric, options), HasSubstr("model.norm.weight holds 1 values"));
}

TEST_F(ModelFolder, SavedModelsReadBackBitForBit) {
  for (const std::string& name : golden_names()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      OpenOptions options;
      options.dtype = dtype;
      const Model model = open_model(golden_folder(name), options);
      // A leftover of a sharded checkpoint must not win over the new file.
      std::ofstream(folder / "model.safetensors.index.json") << "{}";
      save_model(model, folder);
      const Model again = open_model(folder, options);
      ASSERT_EQ(again.parameters.size(), model.parameters.size());
      for (std::size_t i = 0; i < model.parameters.size(); ++i) {
        EXPECT_TRUE(equal_bits(again.parameters[i], model.parameters[i])) << model.parameters.infos()[i].name;
      }
      const nlohmann::json config = nlohmann::json::parse(read_file(folder / "config.json"));
      EXPECT_EQ(config["dtype"], dtype == at::kFloat ? "float32" : "bfloat16");
      const ForwardRequest request = whole_request(Reference(name));
      EXPECT_TRUE(equal_bits(forward(again, request).logits, forward(model, request).logits));
    }
  }
}

TEST_F(ModelFolder, AModelMaySaveOverItself) {
  const Model model = open_model(folder);
  const ForwardRequest request = whole_request(Reference("llama_tied"));
  const at::Tensor before = forward(model, request).logits;
  const std::string digest = model.digest();
  const at::Tensor& weight = model.parameters.at("layers.0.mlp.down.weight");
  Model changed = model;
  changed.parameters = model.parameters.with("layers.0.mlp.down.weight", weight * 2);
  save_model(changed, folder);
  EXPECT_TRUE(equal_bits(forward(model, request).logits, before));
  EXPECT_TRUE(equal_bits(open_model(folder).parameters.at("layers.0.mlp.down.weight"), weight * 2));
  EXPECT_NE(open_model(folder).digest(), digest);
  EXPECT_EQ(model.digest(), digest);
}

TEST(ModelDigest, FollowsTheBytes) {
  EXPECT_EQ(open_model(golden_folder("llama_tied")).digest(), open_model(golden_folder("llama_tied")).digest());
  EXPECT_NE(open_model(golden_folder("llama_tied")).digest(), open_model(golden_folder("llama_rope3")).digest());
}

// What is stored in the model's dtype, aligned, is not copied: so that workers share its pages. Of GPT-2, whose
// matrices are stored [in, out] and whose query, key and value lie in one, views of what is stored. (Every tensor of
// these three takes a multiple of 64 bytes, so that the one behind it is aligned too.)
TEST_F(ModelFolder, WeightsOfAnAlignedFileStayInIt) {
  for (const std::string name : {"llama_tied", "gpt2", "gptj"}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      OpenOptions options;
      options.dtype = dtype;
      save_model(open_model(golden_folder(name), options), folder);
      const Model model = open_model(folder, options);
      for (std::size_t i = 0; i < model.parameters.size(); ++i) {
        EXPECT_TRUE(is_in_file(model.parameters[i], folder / "model.safetensors"))
            << name << ": " << model.parameters.infos()[i].name;
      }
    }
  }
}

TEST_F(ModelFolder, StoredInAnotherDtypeIsCopied) {
  const Model model = open_model(folder, {.dtype = at::kBFloat16});
  for (std::size_t i = 0; i < model.parameters.size(); ++i) {
    EXPECT_FALSE(is_in_file(model.parameters[i], folder / "model.safetensors"));
  }
}

TEST(ModelMemory, TensorsAreAligned) {
  for (const std::string& name : golden_names()) {
    const Model model = open_model(golden_folder(name));
    for (std::size_t i = 0; i < model.parameters.size(); ++i) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(model.parameters[i].const_data_ptr()) % 64, 0U);
    }
  }
}

}  // namespace
}  // namespace palimpsest::model
