#include "training/projection.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.hpp"

namespace palimpsest::training {
namespace {

at::Tensor orthonormal(std::int64_t height, std::int64_t width) {
  return std::get<0>(at::linalg_qr(at::randn({height, width})));
}

double share_inside(const at::Tensor& displacement, const at::Tensor& q, Side side) {
  const at::Tensor wide = displacement.to(at::kDouble), basis = q.to(at::kDouble);
  const at::Tensor part = side == Side::kOut ? at::mm(basis.t(), wide) : at::mm(wide, basis);
  return part.norm().item<double>() / wide.norm().item<double>();
}

TEST(Projection, TakesTheDirectionsOutOfTheDisplacementAndLeavesTheRest) {
  at::manual_seed(2);
  const at::Tensor entering = at::randn({24, 40}), moved = entering + 0.1 * at::randn({24, 40});
  for (const Side side : {Side::kOut, Side::kIn}) {
    const at::Tensor q = orthonormal(side == Side::kOut ? 24 : 40, 3);
    const DisplacementGuard guard("w", entering, {{side, q}});
    EXPECT_GT(guard.leaked_share(moved), 0.1);
    const at::Tensor kept = moved.clone();
    guard.apply(kept);
    EXPECT_LE(share_inside(kept - entering, q, side), 1e-6);
    EXPECT_LE(guard.leaked_share(kept), 1e-6);
    // Everything that was taken away lies in the directions.
    EXPECT_NEAR(share_inside(moved - kept, q, side), 1.0, 1e-5);
  }
}

TEST(Projection, BothSidesAtOnce) {
  at::manual_seed(3);
  const at::Tensor entering = at::randn({24, 40}), left = orthonormal(24, 2), right = orthonormal(40, 4);
  const at::Tensor weight = entering + 0.1 * at::randn({24, 40});
  DisplacementGuard("w", entering, {{Side::kOut, left}, {Side::kIn, right}}).apply(weight);
  EXPECT_LE(share_inside(weight - entering, left, Side::kOut), 1e-6);
  EXPECT_LE(share_inside(weight - entering, right, Side::kIn), 1e-6);
  EXPECT_GT((weight - entering).norm().item<double>(), 1.0);
}

TEST(Projection, RefusesWhatIsNoBasis) {
  const at::Tensor entering = at::zeros({6, 4});
  const auto message = [&](const at::Tensor& weight, const std::vector<Projection>& projections) {
    try {
      DisplacementGuard("layers.0.mlp.down.weight", weight, projections);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message(entering, {{Side::kOut, at::eye(4)}}).find("expected a basis [6, r]"), std::string::npos);
  EXPECT_NE(message(entering, {{Side::kIn, at::ones({4, 2})}}).find("not orthonormal"), std::string::npos);
  EXPECT_NE(message(entering, {{Side::kIn, at::eye(4)}, {Side::kIn, at::eye(4)}}).find("given twice"),
            std::string::npos);
  EXPECT_NE(message(at::zeros({6}), {{Side::kOut, at::eye(6)}}).find("only matrices"), std::string::npos);
  EXPECT_EQ(message(entering, {{Side::kIn, at::eye(4)}}), "no error");
}

}  // namespace
}  // namespace palimpsest::training
