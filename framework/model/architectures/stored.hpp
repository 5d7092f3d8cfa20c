// Between a model's parameters and the tensors of its checkpoint: which part of a fused tensor a parameter is, and
// which way round a matrix lies.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/architectures/registry.hpp"
#include "model/config.hpp"
#include "model/parameters.hpp"

namespace palimpsest::model {

// Query, key and value: what a fused tensor holds.
inline constexpr std::int64_t kFusedParts = 3;

// The shape of the stored tensor that holds a parameter of this shape.
std::vector<std::int64_t> stored_shape(const StoredName& stored, std::vector<std::int64_t> shape);

// The parameter that `tensor`, stored as the rule says, holds: a view where its layout allows one.
at::Tensor parameter_of(const at::Tensor& tensor, const StoredName& stored, const Config& config);

// All parameters under their stored names and in their stored layout, each stored tensor once; `tensors` in the order
// of `infos`, on any device. Gives contiguous tensors on the CPU.
std::vector<std::pair<std::string, at::Tensor>> stored_tensors(const Config& config,
                                                               const std::vector<ParameterInfo>& infos,
                                                               const std::vector<at::Tensor>& tensors);

}  // namespace palimpsest::model
