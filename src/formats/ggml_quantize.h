#pragma once
#include "formats/ggml_type.h"

namespace hadal {

/// Whether ggml_quantize knows the type: F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K.
bool can_quantize(GgmlType type);

/// `count` values, whole blocks, as a type that can_quantize. Scales (and minima) are those of the smallest squared
/// error among a few dozen candidates around the one that spans the values, each refitted by least squares.
void ggml_quantize(std::byte* to, GgmlType type, const float* from, index_t count);

}  // namespace hadal
