#include "app/product_rates.hpp"

#include <c10/core/ScalarType.h>
#include <gtest/gtest.h>

#include <cmath>

namespace palimpsest::app {
namespace {

TEST(ProductRates, AreNumbersOfOperations) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double rate = product_rate(dtype);
    EXPECT_TRUE(std::isfinite(rate));
    EXPECT_GT(rate, 1e6);
  }
}

TEST(ProductRates, WhoMultipliesInBfloat16) {
  config::Experiment e;
  e.model.device = "cpu";
  e.experiment.stages = {config::StageKind::kEdit, config::StageKind::kFinetune};
  EXPECT_FALSE(multiplies_in_bfloat16(e));
  e.training.precision = "bfloat16_autocast";
  EXPECT_TRUE(multiplies_in_bfloat16(e));
  e.experiment.stages = {config::StageKind::kEdit};
  EXPECT_FALSE(multiplies_in_bfloat16(e));
  e.model.dtype = "bfloat16";
  EXPECT_TRUE(multiplies_in_bfloat16(e));
  e.model.device = "cuda:0";
  EXPECT_FALSE(multiplies_in_bfloat16(e));
}

}  // namespace
}  // namespace palimpsest::app
