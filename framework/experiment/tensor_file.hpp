// Tensors by name in a safetensors file, with copies of their own when read: aligned as libtorch aligns, because small
// products give other bits at other alignments.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/safetensors.hpp"

namespace palimpsest::experiment {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors,
                   const std::map<std::string, std::string>& metadata = {});
// Throws kUnsupported, naming file and tensor, for an element type that read_tensors() does not read.
void check_types(const model::SafetensorsFile& file);
// Sorted by name.
NamedTensors read_tensors(const std::filesystem::path& path, std::map<std::string, std::string>* metadata = nullptr);
// Throws kNotFound naming file and tensor.
const at::Tensor& tensor_named(const NamedTensors& tensors, const std::string& name, const std::filesystem::path& path);

}  // namespace palimpsest::experiment
