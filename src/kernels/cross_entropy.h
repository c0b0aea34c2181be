#pragma once
#include "kernels/exec.h"

namespace hadal::kernels {

/// Output head and cross-entropy in one: logits = x_TD w_VD^T exist only for a chunk of rows at a time.
/// loss_T [1, T] (=) -log softmax(logits_t)[target_t] (0 where target_t < 0: masked). f32; f64 with f64.
/// With a gradient (dx_TD not empty): dlogits = (softmax - onehot) * grad_scale for unmasked rows; dx_TD (write)
/// dlogits w; dw_VD += dlogits^T x (empty: skipped). x, w: both f32, bf16 or f64. The softmax is in f32 (f64). Errors:
/// target >= V. argmax_T (empty span: not wanted): most likely token of each row.
struct CrossEntropyOutputs {
  View loss_T;
  View dx_TD, dw_VD;
  std::span<int> argmax_T;
};
void linear_cross_entropy(Exec& ex, const CrossEntropyOutputs& out, ConstView x_TD, ConstView w_VD,
                          std::span<const int> target_T, double grad_scale, Write write_dx = Write::kAssign);

/// The same on logits that exist: loss_T (=), dlogits_TV (=, may be the logits themselves, empty: loss only).
void cross_entropy(Exec& ex, View loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                   double grad_scale, std::span<int> argmax_T);

}  // namespace hadal::kernels
