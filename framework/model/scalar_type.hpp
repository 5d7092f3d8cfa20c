// libtorch's element types and those of safetensors files.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>

#include "model/dtype.hpp"

namespace palimpsest::model {

c10::ScalarType scalar_type_of(DType dtype);
// Nothing where no file holds such elements.
std::optional<DType> dtype_of(c10::ScalarType type);

}  // namespace palimpsest::model
