#include "nn/context.h"

namespace hadal {

Precision Precision::parse(std::string_view name) {
  if (name == "f32") return {DType::kF32, false};
  if (name == "bf16") return {DType::kBF16, false};
  if (name == "fp8") return {DType::kBF16, true};
  if (name == "f64") return {DType::kF64, false};
  fail("precision: got \"", name, "\", want f32|bf16|fp8|f64");
}

}  // namespace hadal
