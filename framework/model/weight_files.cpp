#include "model/weight_files.hpp"

#include <map>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/safetensors_format.hpp"
#include "model/strict_json.hpp"

namespace palimpsest::model {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

}  // namespace

void WeightFiles::add(const TensorView& tensor) {
  tensors_.push_back(&tensor);
  index_.emplace(tensor.name, &tensor);
}

std::shared_ptr<const WeightFiles> WeightFiles::open(const std::filesystem::path& folder) {
  std::shared_ptr<WeightFiles> weights(new WeightFiles);
  weights->folder_ = folder;
  if (!std::filesystem::is_directory(folder)) {
    const bool exists = std::filesystem::exists(folder);
    fail(exists ? ErrorCode::kInvalidArgument : ErrorCode::kNotFound, "the model folder ", folder.string(),
         exists ? " is not a folder" : " does not exist");
  }
  const auto single = folder / kSingleFile;
  const auto index_path = folder / kIndexFile;
  if (std::filesystem::exists(single)) {
    weights->files_.push_back(SafetensorsFile::open(single));
    for (const TensorView& tensor : weights->files_.front()->tensors()) weights->add(tensor);
    return weights;
  }
  if (!std::filesystem::exists(index_path)) {
    const bool pickled = std::filesystem::exists(folder / "pytorch_model.bin") ||
                         std::filesystem::exists(folder / "pytorch_model.bin.index.json");
    fail(ErrorCode::kNotFound, "the folder ", folder.string(), " holds neither ", kSingleFile, " nor ", kIndexFile,
         pickled
             ? "; its weights are pickled (pytorch_model.bin), which is not read: save them again with transformers' "
               "save_pretrained, and put tokenizer.json beside them"
             : "; expected a model in Hugging Face's layout");
  }

  const Json document = parse_strict(read_file(index_path, kMaxHeader), index_path.string());
  const Json& weight_map = member(document, "weight_map", index_path.string());
  if (!weight_map.is_object()) {
    fail(ErrorCode::kCorrupt, index_path.string(), ": \"weight_map\" must be an object (tensor -> file); found ",
         shown(weight_map));
  }
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> files;
  for (const auto& [tensor, file] : weight_map.items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>())) {
      fail(ErrorCode::kCorrupt, index_path.string(), " maps tensor ", in_quotes(tensor, kShownName), " to ",
           shown(file), "; expected the plain name of a file in the same folder");
    }
    files.emplace(file.get<std::string>(), nullptr);
  }
  std::unordered_map<std::string_view, const SafetensorsFile*> holder;
  for (auto& [file_name, file] : files) {
    file = SafetensorsFile::open(folder / file_name);
    for (const TensorView& tensor : file->tensors()) {
      const auto [first, is_new] = holder.emplace(tensor.name, file.get());
      if (!is_new) {
        fail(ErrorCode::kCorrupt, "tensor ", in_quotes(tensor.name, kShownName), " is in ",
             first->second->path().string(), " and in ", file->path().string(),
             "; a tensor of a model stands in one file");
      }
    }
  }
  for (const auto& [tensor, file_name] : weight_map.items()) {
    const auto& file = files.at(file_name.get_ref<const std::string&>());
    if (file->find(tensor) == nullptr) {
      fail(ErrorCode::kCorrupt, index_path.string(), " maps tensor ", in_quotes(tensor, kShownName), " to ",
           file->path().string(), ", which does not hold it");
    }
  }
  for (const auto& [file_name, file] : files) {
    weights->files_.push_back(file);
    for (const TensorView& tensor : file->tensors()) {
      if (weight_map.contains(tensor.name)) weights->add(tensor);
    }
  }
  return weights;
}

const TensorView* WeightFiles::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second;
}

}  // namespace palimpsest::model
