#pragma once
#include "kernels/exec.h"

namespace hadal::kernels {

struct AdamWConfig {
  double lr = 3e-4, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  std::int64_t step = 1;  // from 1
  double grad_scale = 1;  // multiplies the gradient first (clipping)
};

/// Decoupled weight decay as torch.optim.AdamW: p *= 1 - lr*wd; p -= lr * mhat / (sqrt(vhat) + eps).
/// master [1, n] f32 (f64), grad f32 (f64), moments m, v: f32 or bf16 (f64 with f64). value (empty, or f32/bf16):
/// receives the rounded parameter. Or master I16 beside a bf16 value: the parameter is join_f32(value, master).
/// zero_grad also clears grad, which saves a pass over memory.
void adamw_step(Exec& ex, View master, View value, View grad, View m, View v, const AdamWConfig& config,
                bool zero_grad);

/// Sum of squares in f64, in fixed blocks. x: any float type, contiguous rows or not. NaN and inf come through.
double sum_of_squares(Exec& ex, ConstView x);

/// y = decay * y + (1 - decay) * x. y f32 (f64); x f32 (f64), bf16, or bf16 with its `rest` (I16, see split_f32).
void ema_update(Exec& ex, View y, ConstView x, ConstView rest, double decay);

/// y f32 = join_f32(value bf16, rest I16), element by element.
void join_f32(Exec& ex, View y, ConstView value, ConstView rest);

}  // namespace hadal::kernels
