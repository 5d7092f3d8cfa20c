#include "model/architectures/stored.hpp"

#include <ATen/ATen.h>

#include <array>
#include <map>

#include "base/error.hpp"

namespace palimpsest::model {
namespace {

using Parts = std::array<at::Tensor, kFusedParts>;

// [heads, head_dim, ...] of a query, key or value [heads * head_dim, ...].
at::Tensor by_head(const at::Tensor& part, const Config& config) {
  return part.unflatten(0, {config.heads, config.head_dim});
}

at::Tensor fuse(const Parts& parts, Fused fused, const Config& config) {
  for (const at::Tensor& part : parts) {
    if (!part.defined()) fail(ErrorCode::kInternal, "a fused tensor lacks one of query, key and value");
  }
  if (fused == Fused::kStacked) return at::cat({parts[0], parts[1], parts[2]}, 0);
  const std::vector<at::Tensor> heads = {by_head(parts[0], config), by_head(parts[1], config),
                                         by_head(parts[2], config)};
  return at::stack(heads, 1).flatten(0, 2);
}

}  // namespace

std::vector<std::int64_t> stored_shape(const StoredName& stored, std::vector<std::int64_t> shape) {
  if (stored.fused != Fused::kNo) shape.front() *= kFusedParts;
  if (stored.transposed && shape.size() == 2) std::swap(shape.front(), shape.back());
  return shape;
}

at::Tensor parameter_of(const at::Tensor& tensor, const StoredName& stored, const Config& config) {
  at::Tensor upright = stored.transposed && tensor.dim() == 2 ? tensor.t() : tensor;
  switch (stored.fused) {
    case Fused::kNo: return upright;
    case Fused::kStacked: {
      const std::int64_t rows = upright.size(0) / kFusedParts;
      return upright.narrow(0, stored.part * rows, rows);
    }
    case Fused::kByHead:
      return upright.unflatten(0, {config.heads, kFusedParts, config.head_dim}).select(1, stored.part).flatten(0, 1);
  }
  fail(ErrorCode::kInternal, "no such layout of a fused tensor: ", static_cast<int>(stored.fused));
}

std::vector<std::pair<std::string, at::Tensor>> stored_tensors(const Config& config,
                                                               const std::vector<ParameterInfo>& infos,
                                                               const std::vector<at::Tensor>& tensors) {
  const Architecture& architecture = find_architecture(config.architecture, "the model's config");
  std::vector<std::pair<std::string, at::Tensor>> result;
  std::map<std::string, Parts> fused;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    const StoredName stored = stored_name(architecture, infos[i].name);
    at::Tensor tensor = tensors[i].detach().to(at::kCPU);
    if (stored.fused != Fused::kNo) {
      Parts& parts = fused[stored.name];
      parts.at(static_cast<std::size_t>(stored.part)) = std::move(tensor);
      // The value comes last in the order of the forward pass, and with it the tensor is whole.
      if (stored.part + 1 < kFusedParts) continue;
      tensor = fuse(parts, stored.fused, config);
      fused.erase(stored.name);
    }
    if (stored.transposed && tensor.dim() == 2) tensor = tensor.t();
    result.emplace_back(stored.name, tensor.contiguous());
  }
  if (!fused.empty()) fail(ErrorCode::kInternal, "the fused tensor ", fused.begin()->first, " is not whole");
  return result;
}

}  // namespace palimpsest::model
