#include "editing/solve.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "palimpsest/sdk/torch.hpp"

namespace palimpsest::editing {
namespace {

// `what` for the error's sentence.
at::Tensor cholesky(const at::Tensor& matrix, const char* what) {
  auto [factor, info] = at::linalg_cholesky_ex(matrix);
  if (info.item<int>() != 0) {
    sdk::fail(PALIMPSEST_NUMERIC, what, " [", matrix.size(0), ", ", matrix.size(0),
              "] is not positive definite; the keys may hold NaN, or the regularisation is too small for them");
  }
  return factor;
}

at::Tensor with_diagonal(const at::Tensor& matrix, double value) {
  at::Tensor made = matrix.clone();
  made.diagonal().add_(value);
  return made;
}

// The span of the first `rank` eigenvectors, by the thinner basis.
NullSpace of_rank(const at::Tensor& eigenvalues, const at::Tensor& eigenvectors, std::int64_t rank) {
  const bool complement = 2 * rank > eigenvectors.size(1);
  return {eigenvalues, (complement ? eigenvectors.slice(1, rank) : eigenvectors.slice(1, 0, rank)).contiguous(),
          complement};
}

}  // namespace

at::Tensor ridge_keys(const sdk::Host& host, std::int64_t layer, double lambda, const at::Tensor& keys) {
  const c10::NoGradGuard no_grad;
  if (!(lambda > 0)) {
    sdk::fail(PALIMPSEST_OUT_OF_RANGE, "the weight of the second moment is ", lambda, "; expected a value above 0");
  }
  if (keys.size(1) > keys.size(0)) {
    const sdk::Tensor handle = host.second_moment_matrix(layer);
    const at::Tensor& moment = sdk::torch_tensor(handle);
    const at::Tensor k = keys.to(moment.device(), at::kDouble);
    const at::Tensor factor = cholesky(at::addmm(moment, k, k.t(), lambda), "lambda C + K K^T");
    return at::cholesky_solve(k, factor).to(keys.device());
  }
  const at::Tensor k = keys.to(at::kDouble);
  const sdk::Tensor solved = host.second_moment_solve(layer, lambda, sdk::to_handle(host.get(), k));
  const at::Tensor& x = sdk::torch_tensor(solved);
  const at::Tensor factor = cholesky(with_diagonal(k.t().mm(x), 1), "I + K^T (lambda C)^-1 K");
  // X (I + K^T X)^-1, the inverse being symmetric.
  return at::cholesky_solve(x.t().contiguous(), factor).t().contiguous();
}

NullSpace::NullSpace(at::Tensor eigenvalues, at::Tensor basis, bool complement)
    : eigenvalues_(std::move(eigenvalues)),
      basis_(std::move(basis)),
      complement_(complement),
      rank_(complement ? basis_.size(0) - basis_.size(1) : basis_.size(1)) {}

NullSpace NullSpace::below(const at::Tensor& moment, double threshold) {
  const c10::NoGradGuard no_grad;
  auto [values, vectors] = at::linalg_eigh(moment);
  return of_rank(values, vectors, (values < threshold).sum().item<std::int64_t>());
}

NullSpace NullSpace::with_energy(const at::Tensor& moment, double share) {
  const c10::NoGradGuard no_grad;
  auto [values, vectors] = at::linalg_eigh(moment);
  const at::Tensor sums = values.clamp_min(0).cumsum(0);
  return of_rank(values, vectors, (sums <= share * sums[-1]).sum().item<std::int64_t>());
}

at::Tensor NullSpace::project(const at::Tensor& x) const {
  const at::Tensor inside = basis_.mm(basis_.t().mm(x));
  return complement_ ? x - inside : inside;
}

at::Tensor null_space_keys(const NullSpace& null_space, const at::Tensor& keys, const at::Tensor& earlier, double l2) {
  const c10::NoGradGuard no_grad;
  const std::int64_t n = keys.size(1);
  const at::Tensor k = keys.to(null_space.basis().device(), at::kDouble);
  const at::Tensor a = null_space.project(earlier.defined() && earlier.size(1) > 0 ? at::cat({k, earlier}, 1) : k);
  const at::Tensor factor = cholesky(with_diagonal(a.t().mm(a), l2), "A^T A + L2 I");
  const at::Tensor chosen = at::eye(a.size(1), a.options()).slice(1, 0, n);
  return a.mm(at::cholesky_solve(chosen, factor)).to(keys.device());
}

at::Tensor compressed_factor(const at::Tensor& keys) {
  const c10::NoGradGuard no_grad;
  if (keys.size(1) <= keys.size(0)) return keys;
  auto [values, vectors] = at::linalg_eigh(keys.mm(keys.t()));
  return vectors * values.clamp_min(0).sqrt();
}

}  // namespace palimpsest::editing
