#include "experiment/tensor_file.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>

#include "base/error.hpp"
#include "model/safetensors_writer.hpp"

namespace palimpsest::experiment {
namespace {

model::DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return model::DType::kFloat32;
    case at::kDouble: return model::DType::kFloat64;
    case at::kBFloat16: return model::DType::kBFloat16;
    case at::kHalf: return model::DType::kFloat16;
    case at::kLong: return model::DType::kInt64;
    default: fail(ErrorCode::kUnsupported, "tensors of type ", at::toString(tensor.scalar_type()), " are not stored");
  }
}

at::ScalarType scalar_type_of(model::DType dtype) {
  switch (dtype) {
    case model::DType::kFloat32: return at::kFloat;
    case model::DType::kFloat64: return at::kDouble;
    case model::DType::kBFloat16: return at::kBFloat16;
    case model::DType::kFloat16: return at::kHalf;
    case model::DType::kInt64: return at::kLong;
    default: fail(ErrorCode::kInternal, "a tensor of type ", model::name_of(dtype), " passed the check of its file");
  }
}

}  // namespace

void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  NamedTensors kept;
  std::vector<model::NamedTensor> views;
  kept.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& t = kept.emplace_back(name, tensor.detach().to(at::kCPU).contiguous()).second;
    views.push_back(
        {name, dtype_of(t), t.sizes().vec(),
         std::span(static_cast<const std::byte*>(t.const_data_ptr()), static_cast<std::size_t>(t.nbytes()))});
  }
  model::write_safetensors(path, views, metadata);
}

void check_types(const model::SafetensorsFile& file) {
  using model::DType;
  for (const auto& view : file.tensors()) {
    const DType known[] = {DType::kFloat32, DType::kFloat64, DType::kBFloat16, DType::kFloat16, DType::kInt64};
    if (std::find(std::begin(known), std::end(known), view.dtype) != std::end(known)) continue;
    fail(ErrorCode::kUnsupported, file.path().string(), ": ", view.name, " is of type ", model::name_of(view.dtype),
         "; expected one of F32, F64, BF16, F16, I64");
  }
}

NamedTensors read_tensors(const std::filesystem::path& path, std::map<std::string, std::string>* metadata) {
  const auto file = model::SafetensorsFile::open(path);
  check_types(*file);
  NamedTensors tensors;
  for (const auto& view : file->tensors()) {
    at::Tensor tensor = at::empty(view.shape, scalar_type_of(view.dtype));
    std::memcpy(tensor.mutable_data_ptr(), view.bytes.data(), view.bytes.size());
    tensors.emplace_back(view.name, std::move(tensor));
  }
  if (metadata != nullptr) {
    for (const auto& [key, value] : file->metadata()) (*metadata)[key] = value;
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return tensors;
}

const at::Tensor& tensor_named(const NamedTensors& tensors, const std::string& name,
                               const std::filesystem::path& path) {
  for (const auto& [found, tensor] : tensors) {
    if (found == name) return tensor;
  }
  fail(ErrorCode::kNotFound, path.string(), " has no tensor ", name);
}

}  // namespace palimpsest::experiment
