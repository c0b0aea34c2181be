#pragma once
#include "formats/ggml_type.h"

namespace hadal {

/// Whether ggml_dequantize knows the type: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K.
bool can_dequantize(GgmlType type);

/// `count` values, whole blocks, of a type that can_dequantize, as f32.
void ggml_dequantize(float* to, GgmlType type, const std::byte* from, index_t count);

}  // namespace hadal
