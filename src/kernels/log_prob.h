#pragma once
#include "kernels/exec.h"

namespace hadal::kernels {

// Losses of log-probabilities: with p = softmax(logits_t), log p[target_t] is minus what cross_entropy() returns. Rows
// with target_t < 0 are masked: entropy and gradient 0. Logits, dlogits: f32 or bf16 (f64 with f64); the rest f32
// (f64). Errors: target >= V.

/// entropy_T [1, T] (=) H_t = -sum_v p_v log p_v.
void entropy(Exec& ex, View entropy_T, ConstView logits_TV, std::span<const int> target_T);
/// dlogits_TV (=, may be the logits themselves) the gradient of sum_t dlogp_t log p[target_t] + dentropy_t H_t:
/// dlogp (onehot - p) - dentropy p (log p + H). dlogp_T, dentropy_T: [1, T]; an empty dentropy_T stands for zeros.
void log_prob_backward(Exec& ex, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T, ConstView dlogp_T,
                       ConstView dentropy_T = {});

}  // namespace hadal::kernels
