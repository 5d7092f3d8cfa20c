#include "model/scalar_type.hpp"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <utility>

namespace palimpsest::model {
namespace {

TEST(ScalarType, IsTheStoredOneAndBack) {
  const std::pair<DType, c10::ScalarType> pairs[] = {{DType::kFloat64, at::kDouble}, {DType::kFloat32, at::kFloat},
                                                     {DType::kFloat16, at::kHalf},   {DType::kBFloat16, at::kBFloat16},
                                                     {DType::kInt64, at::kLong},     {DType::kInt32, at::kInt},
                                                     {DType::kInt16, at::kShort},    {DType::kInt8, at::kChar},
                                                     {DType::kUInt8, at::kByte},     {DType::kBool, at::kBool}};
  for (const auto& [dtype, type] : pairs) {
    EXPECT_EQ(scalar_type_of(dtype), type) << name_of(dtype);
    EXPECT_EQ(dtype_of(type), dtype) << name_of(dtype);
    EXPECT_EQ(c10::elementSize(type), size_of(dtype)) << name_of(dtype);
  }
  EXPECT_FALSE(dtype_of(at::kComplexFloat));
}

}  // namespace
}  // namespace palimpsest::model
