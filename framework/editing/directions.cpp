#include "editing/directions.hpp"

#include <ATen/ATen.h>

#include <cstdint>

#include "palimpsest/sdk/error.hpp"

namespace palimpsest::editing {
namespace {

// Below this share of the largest singular value a direction is rounding of float32.
constexpr double kNegligible = 1e-6;

struct Weighted {
  at::Tensor vectors;  // orthonormal [n, r]
  at::Tensor values;   // [r], descending
};

Weighted low_rank(const MatrixUpdate& update, DirectionSide side) {
  // U V^T = Q_u (R_u R_v^T) Q_v^T: the small factor has the singular values.
  const auto [q_u, r_u] = at::linalg_qr(update.u.to(at::kDouble));
  const auto [q_v, r_v] = at::linalg_qr(update.v.to(at::kDouble));
  const auto [left, values, right] = at::linalg_svd(at::mm(r_u, r_v.t()), false);
  return {side == DirectionSide::kOut ? at::mm(q_u, left) : at::mm(q_v, right.t()), values};
}

Weighted dense(const at::Tensor& delta, DirectionSide side, double energy) {
  // The smaller Gram matrix has the squares of the singular values; its vectors lead to those of the other side.
  const at::Tensor wide = delta.to(at::kDouble);
  const bool tall = wide.size(0) > wide.size(1);
  const auto [squares, vectors] = at::linalg_eigh(tall ? at::mm(wide.t(), wide) : at::mm(wide, wide.t()));
  const at::Tensor descending = squares.flip(0).clamp_min(0), ordered = vectors.flip(1);
  const at::Tensor share = descending.cumsum(0) / descending.sum();
  std::int64_t count = 1;
  while (count < share.size(0) && share[count - 1].item<double>() < energy) ++count;
  at::Tensor kept = ordered.narrow(1, 0, count);
  const at::Tensor values = descending.narrow(0, 0, count).sqrt();
  if (tall != (side == DirectionSide::kIn)) kept = at::mm(tall ? wide : wide.t(), kept) / values;
  return {kept, values};
}

}  // namespace

at::Tensor directions(const std::vector<MatrixUpdate>& updates, DirectionSide side, double dense_energy) {
  std::vector<at::Tensor> columns;
  for (const MatrixUpdate& update : updates) {
    const bool is_dense = update.dense.defined();
    if (is_dense && update.dense.norm().item<double>() == 0) continue;
    const Weighted found = is_dense ? dense(update.dense, side, dense_energy) : low_rank(update, side);
    const double largest = found.values[0].item<double>();
    if (largest == 0) continue;
    const std::int64_t count = (found.values > kNegligible * largest).sum().item<std::int64_t>();
    // Unit directions: a weak update's are kept as well as a strong one's.
    columns.push_back(found.vectors.narrow(1, 0, count));
  }
  if (columns.empty()) {
    sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "found ", updates.size(),
              " updates that change something; expected at least one");
  }
  const at::Tensor all = at::cat(columns, 1);
  const auto [left, values, right] = at::linalg_svd(all, false);
  const std::int64_t rank = (values > kNegligible * values[0]).sum().item<std::int64_t>();
  return left.narrow(1, 0, rank).contiguous();
}

}  // namespace palimpsest::editing
