// The linear algebra of editors against its plain definitions.
#include "editing/solve.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "editing/golden_editors.hpp"
#include "editing/services.hpp"

namespace palimpsest::editing {
namespace {

constexpr std::int64_t kLayer = 1, kWidth = 64;

// Numbers that follow from `seed` alone.
at::Tensor numbers(std::int64_t rows, std::int64_t columns, double seed) {
  const at::Tensor ramp = at::arange(rows * columns, at::kDouble) * 12.9898 + seed;
  return (ramp.sin() * 43758.5453).frac().reshape({rows, columns});
}

at::Tensor moment() { return GoldenEditors::get().tensor("moment.1"); }

TEST(RidgeKeys, EqualTheDirectSolve) {
  Services services;
  services.context.session = GoldenEditors::get().session();
  // Fewer keys than numbers in one: by the host's factor. More: by the matrix itself.
  for (const std::int64_t count : {1, 7, 64, 90}) {
    const at::Tensor k = numbers(kWidth, count, 1);
    for (const double lambda : {0.5, 20000.0}) {
      const at::Tensor wanted = std::get<0>(at::linalg_solve_ex(lambda * moment() + k.mm(k.t()), k));
      EXPECT_LT(relative_difference(ridge_keys(services.host(), kLayer, lambda, k), wanted), 1e-9)
          << count << " keys, lambda " << lambda;
    }
  }
  EXPECT_THROW(ridge_keys(services.host(), kLayer, 0, numbers(kWidth, 1, 1)), sdk::Error);
}

TEST(NullSpace, IsTheSpanOfTheSmallEigenvalues) {
  const auto [values, vectors] = at::linalg_eigh(moment());
  // A thin null space and a thin complement: each is kept by the other's basis.
  for (const std::int64_t rank : {std::int64_t{5}, std::int64_t{50}}) {
    const double between = (values[rank - 1].item<double>() + values[rank].item<double>()) / 2;
    const NullSpace null_space = NullSpace::below(moment(), between);
    EXPECT_EQ(null_space.rank(), rank);
    const at::Tensor basis = vectors.slice(1, 0, rank);
    const at::Tensor x = numbers(kWidth, 3, 2);
    EXPECT_LT(relative_difference(null_space.project(x), basis.mm(basis.t()).mm(x)), 1e-12);
    EXPECT_LT(relative_difference(null_space.eigenvalues(), values), 1e-12);
    EXPECT_LE(null_space.basis().size(1), kWidth / 2);
    const NullSpace again(null_space.eigenvalues(), null_space.basis(), null_space.complement());
    EXPECT_EQ(again.rank(), rank);
    EXPECT_TRUE(equal_bits(again.project(x), null_space.project(x)));
  }
  const NullSpace by_energy = NullSpace::with_energy(moment(), 0.05);
  const double energy = values.sum().item<double>();
  EXPECT_LE(values.slice(0, 0, by_energy.rank()).sum().item<double>(), 0.05 * energy);
  EXPECT_GT(values.slice(0, 0, by_energy.rank() + 1).sum().item<double>(), 0.05 * energy);
  EXPECT_EQ(NullSpace::below(moment(), 0).rank(), 0);
}

TEST(NullSpaceKeys, SolveTheEquationOfThePaper) {
  const NullSpace null_space = NullSpace::below(moment(), 0.3);
  const at::Tensor p = null_space.project(at::eye(kWidth, at::kDouble));
  const at::Tensor k = numbers(kWidth, 4, 3), r = numbers(32, 4, 4);
  for (const std::int64_t earlier : {0, 10, 80}) {
    const at::Tensor k0 = numbers(kWidth, earlier, 5);
    const at::Tensor left = p.mm(k.mm(k.t()) + k0.mm(k0.t())) + 0.5 * at::eye(kWidth, at::kDouble);
    const at::Tensor wanted = std::get<0>(at::linalg_solve_ex(left, p.mm(k).mm(r.t())));
    const at::Tensor found = null_space_keys(null_space, k, k0, 0.5).mm(r.t());
    EXPECT_LT(relative_difference(found, wanted), 1e-10) << earlier << " earlier keys";
    EXPECT_LT(relative_difference(null_space.project(found), found), 1e-12);
    const at::Tensor factor = compressed_factor(k0);
    EXPECT_EQ(factor.size(1), std::min(earlier, kWidth));
    if (earlier > 0) {
      EXPECT_LT(relative_difference(factor.mm(factor.t()), k0.mm(k0.t())), 1e-12);
    }
  }
}

}  // namespace
}  // namespace palimpsest::editing
