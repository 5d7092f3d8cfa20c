#include "experiment/tensor_file.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>

#include "base/error.hpp"
#include "model/safetensors_writer.hpp"
#include "model/scalar_type.hpp"

namespace palimpsest::experiment {
namespace {

constexpr model::DType kStored[] = {model::DType::kFloat32, model::DType::kFloat64, model::DType::kBFloat16,
                                    model::DType::kFloat16, model::DType::kInt64};

bool is_stored(model::DType dtype) {
  return std::find(std::begin(kStored), std::end(kStored), dtype) != std::end(kStored);
}

model::DType stored_dtype_of(const at::Tensor& tensor) {
  const auto dtype = model::dtype_of(tensor.scalar_type());
  if (!dtype || !is_stored(*dtype)) {
    fail(ErrorCode::kUnsupported, "tensors of type ", at::toString(tensor.scalar_type()), " are not stored");
  }
  return *dtype;
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
        {name, stored_dtype_of(t), t.sizes().vec(),
         std::span(static_cast<const std::byte*>(t.const_data_ptr()), static_cast<std::size_t>(t.nbytes()))});
  }
  model::write_safetensors(path, views, metadata);
}

void check_types(const model::SafetensorsFile& file) {
  for (const auto& view : file.tensors()) {
    if (is_stored(view.dtype)) continue;
    fail(ErrorCode::kUnsupported, file.path().string(), ": ", view.name, " is of type ", model::name_of(view.dtype),
         "; expected one of F32, F64, BF16, F16, I64");
  }
}

NamedTensors read_tensors(const std::filesystem::path& path, std::map<std::string, std::string>* metadata) {
  const auto file = model::SafetensorsFile::open(path);
  check_types(*file);
  NamedTensors tensors;
  for (const auto& view : file->tensors()) {
    at::Tensor tensor = at::empty(view.shape, model::scalar_type_of(view.dtype));
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
