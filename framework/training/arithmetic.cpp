#include "training/arithmetic.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>

#include "base/error.hpp"
#include "base/rng.hpp"

namespace palimpsest::training {
namespace {

constexpr std::array<std::string_view, 2> kPrecisions = {"float32", "bfloat16_autocast"};
constexpr std::array<std::string_view, 2> kMatmuls = {"mkl", "onednn"};

template <typename Kind>
Kind parse(std::string_view what, std::string_view name, const std::array<std::string_view, 2>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Kind>(i);
  }
  fail(ErrorCode::kInvalidArgument, what, ": found \"", name, "\", expected ", names[0], " or ", names[1],
       did_you_mean(name, names));
}

const char* torch_name(at::Float32MatmulPrecision precision) {
  switch (precision) {
    case at::Float32MatmulPrecision::HIGHEST: return "highest";
    case at::Float32MatmulPrecision::HIGH: return "high";
    case at::Float32MatmulPrecision::MEDIUM: return "medium";
  }
  fail(ErrorCode::kInternal, "no such float32 matmul precision: ", static_cast<int>(precision));
}

}  // namespace

Precision parse_precision(std::string_view name) { return parse<Precision>("precision", name, kPrecisions); }
Matmul parse_matmul(std::string_view name) { return parse<Matmul>("matmul", name, kMatmuls); }

void check_matmul(Matmul matmul) {
  if (matmul == Matmul::kMkl) return;
  constexpr std::int64_t kSize = 128;
  const c10::NoGradGuard no_grad;
  Rng rng(1, "training.check_matmul");
  at::Tensor a = at::empty({kSize, kSize}, at::kFloat);
  for (float *x = a.mutable_data_ptr<float>(), *end = x + a.numel(); x != end; ++x) {
    *x = static_cast<float>(rng.uniform() - 0.5);
  }
  at::Tensor product;
  {
    const ArithmeticScope scope(Precision::kFloat32, matmul);
    product = at::mm(a, a.t());
  }
  const at::Tensor wide = a.to(at::kDouble);
  const at::Tensor wanted = at::mm(wide, wide.t());
  const auto error = ((product.to(at::kDouble) - wanted).norm() / wanted.norm()).item<double>();
  // float32 gives 1e-7, factors rounded to bfloat16 1e-3.
  constexpr double kFloat32Error = 1e-5;
  if (!(error < kFloat32Error)) {
    fail(ErrorCode::kUnsupported, "matmul = onednn: on this processor oneDNN rounds the factors of float32 products ",
         "(relative error ", error, ", expected below ", kFloat32Error,
         "); use matmul = mkl, or precision = bfloat16_autocast, where rounding is meant");
  }
}

ArithmeticScope::ArithmeticScope(Precision precision, Matmul matmul)
    : matmul_before_(torch_name(at::globalContext().float32MatmulPrecision())) {
  at::globalContext().setFloat32MatmulPrecision(matmul == Matmul::kOneDnn ? "medium" : "highest");
  constexpr std::array kDevices = {at::kCPU, at::kCUDA};
  for (std::size_t i = 0; i < kDevices.size(); ++i) {
    autocast_before_[i] = model::Autocast::of(kDevices[i]);
    model::Autocast{kDevices[i], precision == Precision::kBfloat16Autocast, at::kBFloat16}.set();
  }
  at::autocast::increment_nesting();
}

ArithmeticScope::~ArithmeticScope() {
  // What autocast keeps are copies of weights, which the optimiser is about to change.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  for (const auto& before : autocast_before_) before.set();
  at::globalContext().setFloat32MatmulPrecision(matmul_before_);
}

}  // namespace palimpsest::training
