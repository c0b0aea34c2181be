#include "nn/context.h"

namespace hadal {

Precision Precision::parse(std::string_view name) {
  if (name == "f32") return {.compute = DType::kF32};
  if (name == "bf16") return {.compute = DType::kBF16};
  if (name == "fp8") return {.compute = DType::kBF16, .fp8 = true};
  if (name == "f64") return {.compute = DType::kF64};
  fail("precision: got \"", name, "\", want f32|bf16|fp8|f64");
}

Precision Precision::for_inference(std::string_view name, const ModelConfig& config) {
  if (name != "fp8") return parse(name);
  const bool powers = config.fp8 && config.fp8->ue8m0_scales;
  return {.compute = DType::kF32,
          .fp8_inputs = true,
          .fp8_input_scales = powers ? kernels::Scales::kPowerOfTwo : kernels::Scales::kF32};
}

}  // namespace hadal
