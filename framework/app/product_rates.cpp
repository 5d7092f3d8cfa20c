#include "app/product_rates.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <time.h>

#include <algorithm>
#include <cmath>

#include "model/product.hpp"

namespace palimpsest::app {
namespace {

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

double product_rate(at::ScalarType dtype) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  // Small enough that three products without a kernel of their own are quick, large enough for full speed.
  const std::int64_t size = dtype == at::kFloat ? 768 : 384;
  const at::Tensor a = at::ones({size, size}, dtype), b = at::ones({size, size}, dtype);
  model::product(a, b);
  const double start = thread_seconds();
  double seconds = 0;
  int rounds = 0;
  while (seconds < 0.3 || rounds < 2) {
    model::product(a, b);
    ++rounds;
    seconds = thread_seconds() - start;
  }
  at::set_num_threads(before);
  return 2.0 * std::pow(static_cast<double>(size), 3) * rounds / seconds;
}

bool multiplies_in_bfloat16(const config::Experiment& experiment) {
  const bool trains = experiment.experiment.has(config::StageKind::kFinetune);
  return config::device_type(experiment.model.device) == "cpu" &&
         (experiment.model.dtype == "bfloat16" || (trains && experiment.training.precision == "bfloat16_autocast"));
}

}  // namespace palimpsest::app
