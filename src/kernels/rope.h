#pragma once
// Rotary position embedding. Frequencies, with YaRN, llama3 and linear scaling, come from nn/rope_plan (config) as a
// table; the kernel only rotates.
#include "kernels/exec.h"

namespace hadal::kernels {

/// kInterleaved: channels (2i, 2i+1) are a pair (DeepSeek). kHalfSplit: (i, i + dim/2) (Llama, Qwen).
enum class RopeStyle : std::uint8_t { kInterleaved, kHalfSplit };
enum class RopeDirection : std::uint8_t { kForward, kBackward };

/// In place on x [T, H, R]: pair i of row t turns by the angle of position p = positions[t]. table: f32 (f64 with f64),
/// [num_positions, R]: columns [0, R/2) hold gain * cos, [R/2, R) gain * sin. kBackward applies the transpose (the
/// adjoint). x: f32, bf16, f64. Errors: position outside the table.
void rope(Exec& ex, Heads x, std::span<const int> positions, ConstView table, RopeStyle style, RopeDirection direction);

}  // namespace hadal::kernels
