#pragma once
#include "kernels/exec.h"

namespace hadal::kernels {

struct AdamWConfig {
  double lr = 3e-4, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  std::int64_t step = 1;  // from 1
  double grad_scale = 1;  // multiplies the gradient first (clipping)
};

/// Decoupled weight decay as torch.optim.AdamW: p *= 1 - lr*wd; p -= lr * mhat / (sqrt(vhat) + eps).
/// master [1, n] f32 (f64), grad the same, moments m, v: f32 or bf16 (f64 with f64). value (empty, or f32/bf16):
/// receives the rounded parameter. zero_grad also clears grad, which saves a pass over memory.
void adamw_step(Exec& ex, View master, View value, View grad, View m, View v, const AdamWConfig& config,
                bool zero_grad);

/// Sum of squares in f64, in fixed blocks. x: any float type, contiguous rows or not. NaN and inf come through.
double sum_of_squares(Exec& ex, ConstView x);

/// y = decay * y + (1 - decay) * x. Both f32 (y) and f32/bf16 (x).
void ema_update(Exec& ex, View y, ConstView x, double decay);

}  // namespace hadal::kernels
