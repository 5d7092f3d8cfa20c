// The weights of a model's folder, whether they lie in one safetensors file or in several.
//
// Checked when opened, immutable afterwards, readable from any thread; views live as long as the object.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/safetensors.hpp"

namespace palimpsest::model {

// A model folder: model.safetensors alone, or model.safetensors.index.json and the files it maps tensors to.
class WeightFiles {
 public:
  // Throws Error as SafetensorsFile::open, and kCorrupt when the index names a file outside the folder, a tensor that
  // is not in its file, or when two of its files hold the same tensor. Tensors that an index does not list are not part
  // of the model.
  static std::shared_ptr<const WeightFiles> open(const std::filesystem::path& folder);

  // nullptr when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  // By file (in the order of files()), then in the order of their bytes.
  const std::vector<const TensorView*>& tensors() const { return tensors_; }
  // Sorted by name.
  const std::vector<std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  WeightFiles() = default;
  void add(const TensorView& tensor);

  std::filesystem::path folder_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::vector<const TensorView*> tensors_;
  std::unordered_map<std::string_view, const TensorView*> index_;
};

}  // namespace palimpsest::model
