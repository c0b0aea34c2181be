#pragma once
#include "kernels/exec.h"

namespace hadal::kernels {

/// The 12-bit cache of attention outputs (DeepSeek-V3 report 3.3.3): E5M6 with one power-of-two scale per 1x128 tile.
/// packed [T, D] kE5M6 (two values in three bytes), scales [T, ceil(D/128)] kUE8M0. x, y: f32 or bf16.
void e5m6_pack(Exec& ex, View packed, View scales, ConstView x);
void e5m6_unpack(Exec& ex, View y, ConstView packed, ConstView scales);

}  // namespace hadal::kernels
