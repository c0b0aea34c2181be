#pragma once
#include "kernels/exec.h"

namespace hadal::kernels {

/// y_TD = x_TD * rstd_T * gain_D,  rstd_t = 1 / sqrt(mean_d(x_td^2) + eps).  Statistics in f32 (f64 with f64).
/// x, y: f32, bf16 or f64, the same; gain [1, D] f32 or as x; rstd [1, T] f32 (f64 with f64), empty view: not kept.
/// Writes (=): y_TD, rstd_T. y may be x. Threads: rows.
void rmsnorm_forward(Exec& ex, View y_TD, View rstd_T, ConstView x_TD, ConstView gain_D, float eps);

/// Adjoint. dx_TD (write: the residual stream adds), dgain_D += (f32; f64 with f64), summed over rows in fixed blocks.
void rmsnorm_backward(Exec& ex, View dx_TD, View dgain_D, ConstView dy_TD, ConstView x_TD, ConstView gain_D,
                      ConstView rstd_T, Write write);

}  // namespace hadal::kernels
