#include "model/scalar_type.hpp"

namespace palimpsest::model {

c10::ScalarType scalar_type_of(DType dtype) {
  using c10::ScalarType;
  switch (dtype) {
    case DType::kFloat64: return ScalarType::Double;
    case DType::kFloat32: return ScalarType::Float;
    case DType::kFloat16: return ScalarType::Half;
    case DType::kBFloat16: return ScalarType::BFloat16;
    case DType::kInt64: return ScalarType::Long;
    case DType::kInt32: return ScalarType::Int;
    case DType::kInt16: return ScalarType::Short;
    case DType::kInt8: return ScalarType::Char;
    case DType::kUInt8: return ScalarType::Byte;
    case DType::kBool: return ScalarType::Bool;
  }
  return ScalarType::Undefined;
}

std::optional<DType> dtype_of(c10::ScalarType type) {
  using c10::ScalarType;
  switch (type) {
    case ScalarType::Double: return DType::kFloat64;
    case ScalarType::Float: return DType::kFloat32;
    case ScalarType::Half: return DType::kFloat16;
    case ScalarType::BFloat16: return DType::kBFloat16;
    case ScalarType::Long: return DType::kInt64;
    case ScalarType::Int: return DType::kInt32;
    case ScalarType::Short: return DType::kInt16;
    case ScalarType::Char: return DType::kInt8;
    case ScalarType::Byte: return DType::kUInt8;
    case ScalarType::Bool: return DType::kBool;
    default: return std::nullopt;
  }
}

}  // namespace palimpsest::model
