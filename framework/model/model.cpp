#include "model/model.hpp"

#include <ATen/ATen.h>

#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "model/architectures/registry.hpp"
#include "model/architectures/stored.hpp"
#include "model/safetensors.hpp"
#include "model/safetensors_writer.hpp"
#include "model/scalar_type.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "model/weight_files.hpp"

namespace palimpsest::model {
namespace {

// What ATen's own allocator aligns to.
constexpr std::uintptr_t kAlignment = 64;

// Files beside config.json and the weights that belong to a model, copied as they are.
constexpr std::array kSideFiles = {"tokenizer.json",
                                   "tokenizer_config.json",
                                   "special_tokens_map.json",
                                   "generation_config.json",
                                   "chat_template.jinja",
                                   "vocab.json",
                                   "merges.txt",
                                   "tokenizer.model",
                                   "added_tokens.json"};

bool holds_weights(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

at::ScalarType weight_type_of(const TensorView& view, const std::filesystem::path& folder) {
  if (!holds_weights(view.dtype)) {
    fail(ErrorCode::kUnsupported, folder.string(), ": tensor ", view.name, " is stored as ", name_of(view.dtype),
         "; weights are read from F32, F16 and BF16");
  }
  return scalar_type_of(view.dtype);
}

DType stored_dtype_of(const at::Tensor& tensor, std::string_view name) {
  const auto dtype = dtype_of(tensor.scalar_type());
  if (!dtype || !holds_weights(*dtype)) {
    fail(ErrorCode::kUnsupported, "parameter ", name, " has dtype ", at::toString(tensor.scalar_type()),
         "; models are saved in float32, float16 or bfloat16");
  }
  return *dtype;
}

// The stored tensor over the mapped bytes, which `keeper` keeps alive as long as the tensor.
at::Tensor mapped(const TensorView& view, const std::shared_ptr<const WeightFiles>& keeper) {
  const at::ScalarType stored = weight_type_of(view, keeper->folder());
  const auto address = reinterpret_cast<std::uintptr_t>(view.bytes.data());
  if (address % size_of(view.dtype) == 0) {
    return at::from_blob(
        const_cast<std::byte*>(view.bytes.data()), view.shape, [keeper](void*) {}, at::TensorOptions().dtype(stored));
  }
  at::Tensor tensor = at::empty(view.shape, at::TensorOptions().dtype(stored));
  std::memcpy(tensor.mutable_data_ptr(), view.bytes.data(), view.bytes.size());
  return tensor;
}

// Whether products read the tensor as it lies: row by row, or column by column, as GPT-2's matrices are stored.
bool in_order(const at::Tensor& tensor) {
  return tensor.is_contiguous() || (tensor.dim() == 2 && tensor.stride(0) == 1 && tensor.stride(1) >= tensor.size(0));
}

// The tensor as the model holds it: itself if its bytes can be used where they lie.
at::Tensor settled(const at::Tensor& tensor, const OpenOptions& options) {
  if (options.in_place || stays_mapped(tensor, options)) return tensor;
  return at::empty(tensor.sizes(), at::TensorOptions().dtype(options.dtype).device(options.device)).copy_(tensor);
}

void check_finite(const at::Tensor& tensor, const std::string& name, const std::filesystem::path& folder) {
  if (at::isfinite(tensor).all().item<bool>()) return;
  const std::int64_t bad = at::isfinite(tensor).logical_not().sum().item<std::int64_t>();
  fail(ErrorCode::kNumeric, folder.string(), ": tensor ", name, " holds ", bad, " values that are NaN or infinite");
}

// Whether the file names the decoder's tensors without the architecture's prefix.
bool lacks_prefix(const Architecture& architecture, const WeightFiles& files) {
  for (const TensorView* view : files.tensors()) {
    if (view->name.starts_with(architecture.prefix)) return false;
  }
  return true;
}

bool is_buffer(const Architecture& architecture, std::string_view name) {
  for (const std::string_view ending : architecture.buffers) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

// The stored config with the dtype that the weights now have, whatever they were stored in before.
std::string config_text(const Config& config, const at::Tensor& weight) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(config.json);
  const std::string dtype = weight.scalar_type() == at::kFloat  ? "float32"
                            : weight.scalar_type() == at::kHalf ? "float16"
                                                                : "bfloat16";
  if (json.contains("dtype")) json["dtype"] = dtype;
  if (json.contains("torch_dtype") || !json.contains("dtype")) json["torch_dtype"] = dtype;
  return json.dump(2) + "\n";
}

}  // namespace

struct Model::Digest {
  std::once_flag once;
  std::string hex;
  std::filesystem::path folder;
  std::shared_ptr<const WeightFiles> weights;  // for its list of files
};

const std::string& Model::digest() const {
  if (digest_state == nullptr) fail(ErrorCode::kInvalidArgument, "this model was not opened from a folder");
  std::call_once(digest_state->once, [state = digest_state.get()] {
    Sha256 hash;
    for (const char* name : {"config.json", "tokenizer.json"}) {
      const std::filesystem::path path = state->folder / name;
      if (std::filesystem::exists(path)) hash.field(name).field(read_file(path));
    }
    for (const std::shared_ptr<const SafetensorsFile>& file : state->weights->files()) {
      hash.field(file->path().filename().string()).field(sha256_file(file->path()));
    }
    state->hex = hash.hex();
  });
  return digest_state->hex;
}

bool stays_mapped(const at::Tensor& weight, const OpenOptions& options) {
  return options.device.is_cpu() && weight.scalar_type() == options.dtype && in_order(weight) &&
         reinterpret_cast<std::uintptr_t>(weight.const_data_ptr()) % kAlignment == 0;
}

Model open_model(const std::filesystem::path& folder, const OpenOptions& options) {
  if (!std::filesystem::is_directory(folder)) {
    fail(ErrorCode::kNotFound, folder.string(), ": expected a model folder with config.json and *.safetensors");
  }
  Model model;
  model.folder = folder;
  model.config = read_config(folder);
  const Architecture& architecture = find_architecture(model.config.architecture, (folder / "config.json").string());
  const std::shared_ptr<const WeightFiles> files = WeightFiles::open(folder);

  std::vector<ParameterInfo> infos = parameter_infos(model.config);
  std::vector<at::Tensor> tensors;
  std::set<std::string, std::less<>> expected;
  const bool bare = lacks_prefix(architecture, *files);
  std::map<std::string, at::Tensor> fused;  // stored tensors, until the last parameter of each is taken
  for (const ParameterInfo& info : infos) {
    StoredName stored = stored_name(architecture, info.name);
    if (bare && stored.name.starts_with(architecture.prefix)) stored.name.erase(0, architecture.prefix.size());
    const std::vector<std::int64_t> shape = stored_shape(stored, info.shape);
    expected.insert(stored.name);
    const TensorView* view = files->find(stored.name);
    if (view == nullptr) {
      std::vector<std::string> names;
      for (const TensorView* other : files->tensors()) names.push_back(other->name);
      fail(ErrorCode::kNotFound, folder.string(), ": the tensor ", stored.name, " (", info.name, ", shape ",
           shape_text(shape), ") is missing", did_you_mean(stored.name, names));
    }
    if (view->shape != shape) {
      fail(ErrorCode::kInvalidArgument, folder.string(), ": tensor ", stored.name, " has shape ",
           shape_text(view->shape), ", expected ", shape_text(shape), " from config.json");
    }
    // Settled as it is stored, and only then turned and cut: how a parameter lies in memory, and with it the last bits
    // of products, depends on the architecture, not on the file's dtype and alignment.
    at::Tensor& whole = fused[stored.name];
    if (!whole.defined()) whole = settled(mapped(*view, files), options);
    tensors.push_back(settled(parameter_of(whole, stored, model.config), options));
    if (stored.fused == Fused::kNo || stored.part + 1 == kFusedParts) fused.erase(stored.name);
    if (options.check_finite) check_finite(tensors.back(), stored.name, folder);
  }
  // A tied head may be stored all the same; it is embed.weight again.
  if (model.config.tied_head) expected.insert(stored_name(architecture, "head.weight").name);
  for (const TensorView* view : files->tensors()) {
    if (expected.contains(view->name) || is_buffer(architecture, view->name)) continue;
    fail(ErrorCode::kUnsupported, folder.string(), ": the tensor ", view->name, " of shape ", shape_text(view->shape),
         " does not belong to a ", architecture.model_type, " model as config.json describes it",
         did_you_mean(view->name, expected));
  }
  model.parameters = Parameters(std::move(infos), std::move(tensors));

  if (std::filesystem::exists(folder / "tokenizer.json")) model.tokenizer = Tokenizer::open(folder / "tokenizer.json");
  model.digest_state = std::make_shared<Model::Digest>();
  model.digest_state->folder = folder;
  model.digest_state->weights = files;
  return model;
}

void save_model(const Model& model, const std::filesystem::path& folder) {
  std::vector<at::Tensor> parameters;
  for (std::size_t i = 0; i < model.parameters.size(); ++i) parameters.push_back(model.parameters[i]);
  // Keeps the bytes alive.
  const auto tensors = stored_tensors(model.config, model.parameters.infos(), parameters);
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : tensors) {
    named.push_back({name,
                     stored_dtype_of(tensor, name),
                     tensor.sizes().vec(),
                     {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  write_safetensors(folder / "model.safetensors", named, {{"format", "pt"}});
  for (const char* name : kSideFiles) {
    const std::filesystem::path from = model.folder / name;
    if (model.folder.empty() || !std::filesystem::exists(from)) continue;
    write_file_atomically(folder / name, read_file(from));
  }
  // A sharded checkpoint that stood here before must not be read in place of the new file.
  std::filesystem::remove(folder / "model.safetensors.index.json");
  write_file_atomically(folder / "config.json", config_text(model.config, model.parameters.at("embed.weight")));
}

}  // namespace palimpsest::model
