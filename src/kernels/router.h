#pragma once
// DeepSeekMoE routing: scores, choice of experts, gate weights (V1 3, V2 2.2.1-2.2.2, V3 2.1.2).
#include "kernels/exec.h"

namespace hadal::kernels {

enum class ScoringFunc : std::uint8_t { kSoftmax, kSigmoid };
/// kGreedy: the best of all experts. kGroupLimitedGreedy: V2, a group counts by its best score. kNoauxTc: V3, choice by
/// score + bias, a group counts by the sum of its two best.
enum class TopkMethod : std::uint8_t { kGreedy, kGroupLimitedGreedy, kNoauxTc };

struct RouterPolicy {
  ScoringFunc scoring_func = ScoringFunc::kSoftmax;
  TopkMethod topk_method = TopkMethod::kGreedy;
  int n_group = 1, topk_group = 1;
  int num_experts_per_tok = 1;
  bool norm_topk_prob = false;         // divide by the sum of the chosen scores + 1e-20
  float routed_scaling_factor = 1.0F;  // multiplies the gate weights after that
};

struct RouterChoice {
  Mat<int> index_TA;  // chosen experts, best (biased) score first; the lower index first among equals
  View weight_TA;     // gate weights; f32 (f64 with f64)
  View scores_TE;     // after softmax or sigmoid, without bias
};

/// Writes (=) all of `choice`. logits f32 (f64). bias_E [1, E] f32, used by kNoauxTc only; may be empty (zero). Experts
/// of groups that were not kept never win, whatever the bias.
void router_forward(Exec& ex, const RouterChoice& choice, ConstView logits_TE, ConstView bias_E,
                    const RouterPolicy& policy);

/// dlogits_TE (=) from dweight_TA and from dscores_TE (gradient that balance losses put on the scores; may be empty).
/// The selection is constant.
void router_backward(Exec& ex, View dlogits_TE, ConstView dweight_TA, ConstView dscores_TE, const RouterChoice& choice,
                     const RouterPolicy& policy);

}  // namespace hadal::kernels
