// An owned tensor handle and the numbers in it; needs no libtorch. With libtorch, torch.hpp converts to and from
// at::Tensor.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "palimpsest/sdk/error.hpp"
#include "palimpsest/services/tensor.h"

namespace palimpsest::sdk {

// The numbers of a tensor as float32, row-major: in place where the tensor holds them so, otherwise a copy.
class Floats {
 public:
  explicit Floats(std::span<const float> in_place) : numbers_(in_place) {}
  explicit Floats(std::vector<float> copy) : copy_(std::move(copy)), numbers_(copy_) {}
  ~Floats() = default;
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;

  std::size_t size() const { return numbers_.size(); }
  const float& operator[](std::size_t i) const { return numbers_[i]; }
  // All of them, while this object lives: it may hold the copy.
  std::span<const float> span() const& { return numbers_; }
  std::span<const float> span() const&& = delete;

 private:
  std::vector<float> copy_;
  std::span<const float> numbers_;
};

// Owns one handle; copying retains. An empty Tensor holds none.
class Tensor {
 public:
  Tensor() = default;
  // Takes over a handle received from a service.
  static Tensor adopt(const palimpsest_host* host, palimpsest_tensor handle) { return Tensor(host, handle); }
  // A second handle to one that was passed in for the call.
  static Tensor retain(const palimpsest_host* host, palimpsest_tensor handle) {
    palimpsest_tensor second = nullptr;
    check(host, api(host).retain(host, handle, &second));
    return Tensor(host, second);
  }
  static Tensor from_numbers(const palimpsest_host* host, std::span<const double> numbers,
                             const std::vector<std::int64_t>& shape) {
    return wrap(host, numbers.data(), PALIMPSEST_FLOAT64, shape);
  }
  static Tensor from_integers(const palimpsest_host* host, std::span<const std::int64_t> numbers,
                              const std::vector<std::int64_t>& shape) {
    return wrap(host, numbers.data(), PALIMPSEST_INT64, shape);
  }

  Tensor(const Tensor& other) {
    if (other.handle_ != nullptr) *this = retain(other.host_, other.handle_);
  }
  Tensor(Tensor&& other) noexcept
      : host_(std::exchange(other.host_, nullptr)), handle_(std::exchange(other.handle_, nullptr)) {}
  Tensor& operator=(Tensor&& other) noexcept {
    std::swap(host_, other.host_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  Tensor& operator=(const Tensor& other) { return *this = Tensor(other); }
  ~Tensor() {
    if (handle_ == nullptr) return;
    const auto* table = static_cast<const palimpsest_tensor_v1*>(host_->get_service(host_, PALIMPSEST_TENSOR_1));
    if (table != nullptr) table->release(host_, handle_);
  }

  explicit operator bool() const { return handle_ != nullptr; }
  palimpsest_tensor get() const { return handle_; }
  const palimpsest_host* host() const { return host_; }

  std::vector<std::int64_t> shape() const {
    palimpsest_tensor_info info{};
    check(host_, api(host_).info(host_, handle_, &info));
    return {info.shape, info.shape + info.dimensions};
  }
  // Every element as float64, row-major.
  std::vector<double> numbers() const {
    palimpsest_tensor_info info{};
    check(host_, api(host_).info(host_, handle_, &info));
    std::size_t count = 1;
    for (std::int32_t i = 0; i < info.dimensions; ++i) count *= static_cast<std::size_t>(info.shape[i]);
    std::vector<double> out(count);
    check(host_, api(host_).read(host_, handle_, out.data(), out.size()));
    return out;
  }
  // Every element as float32, wherever the tensor lies; without a copy where it is contiguous float32 on the CPU, and
  // then valid while a handle to the tensor is held.
  Floats floats() const {
    palimpsest_tensor_info info{};
    check(host_, api(host_).info(host_, handle_, &info));
    if (info.on_cpu != 0 && info.dtype == PALIMPSEST_FLOAT32) {
      palimpsest_tensor_data data{};
      check(host_, api(host_).data(host_, handle_, &data));
      std::size_t count = 1;
      bool contiguous = true;
      for (std::int32_t i = data.dimensions - 1; i >= 0; --i) {
        contiguous = contiguous && (data.shape[i] == 1 || data.strides[i] == static_cast<std::int64_t>(count));
        count *= static_cast<std::size_t>(data.shape[i]);
      }
      if (contiguous || count == 0) return Floats(std::span(static_cast<const float*>(data.data), count));
    }
    const std::vector<double> wide = numbers();
    return Floats(std::vector<float>(wide.begin(), wide.end()));
  }

 private:
  Tensor(const palimpsest_host* host, palimpsest_tensor handle) : host_(host), handle_(handle) {}
  static const palimpsest_tensor_v1& api(const palimpsest_host* host) {
    return service<palimpsest_tensor_v1>(host, PALIMPSEST_TENSOR_1);
  }
  static Tensor wrap(const palimpsest_host* host, const void* data, palimpsest_dtype dtype,
                     const std::vector<std::int64_t>& shape) {
    palimpsest_tensor handle = nullptr;
    check(host, api(host).wrap(host, data, dtype, shape.data(), static_cast<std::int32_t>(shape.size()), &handle));
    return Tensor(host, handle);
  }

  const palimpsest_host* host_ = nullptr;
  palimpsest_tensor handle_ = nullptr;
};

}  // namespace palimpsest::sdk
