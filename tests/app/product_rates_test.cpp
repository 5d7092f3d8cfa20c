#include "app/product_rates.hpp"

#include <c10/core/ScalarType.h>

#include <cmath>

#include "driver.hpp"

namespace palimpsest::app {
namespace {

TEST(ProductRates, AreNumbersOfOperations) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double rate = product_rate(dtype);
    EXPECT_TRUE(std::isfinite(rate));
    EXPECT_GT(rate, 1e6);
  }
}

TEST(ProductRates, ABfloat16OfAQuarterOfTheRateIsTold) {
  EXPECT_EQ(bfloat16_warning(100, 25), "");
  EXPECT_EQ(bfloat16_warning(100, 170), "");
  EXPECT_EQ(
      bfloat16_warning(100, 2),
      "bfloat16 (model.dtype, training.precision) is 50 times slower than float32 on this processor, which has no "
      "units for it; use \"float32\"");
}

TEST(ProductRates, WhoMultipliesInBfloat16) {
  config::Experiment e;
  e.model.device = "cpu";
  e.experiment.stages = {"edit", "finetune"};
  EXPECT_FALSE(multiplies_in_bfloat16(e));
  e.training.precision = "bfloat16_autocast";
  EXPECT_TRUE(multiplies_in_bfloat16(e));
  e.experiment.stages = {"edit"};
  EXPECT_FALSE(multiplies_in_bfloat16(e));
  e.model.dtype = "bfloat16";
  EXPECT_TRUE(multiplies_in_bfloat16(e));
  e.model.device = "cuda:0";
  EXPECT_FALSE(multiplies_in_bfloat16(e));
}

using Validate = ProgramTest;

TEST_F(Validate, SaysWhereBfloat16DoesNotPay) {
  write_experiment("[[sweep.variants]]\nname = \"unedited\"\neditor = { id = \"none\" }\n");
  EXPECT_EQ(run({"validate", "tiny.toml"}).err, "");
  const bool told = !bfloat16_warning(product_rate(at::kFloat), product_rate(at::kBFloat16)).empty();
  const Outcome outcome = run({"validate", "tiny.toml", "--set", "training.precision=\"bfloat16_autocast\""});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err.find("warning: tiny.toml: bfloat16") != std::string::npos, told) << outcome.err;
}

}  // namespace
}  // namespace palimpsest::app
