#pragma once
// Auxiliary losses that keep experts evenly loaded (spec 1.6-1.8). f has no gradient; P carries it.
#include "kernels/exec.h"

namespace hadal::kernels {

struct BalanceLossConfig {
  float expert_alpha = 0;         // V1/V2 expert level: N/(A T) counts x mean score, over each sequence
  float device_alpha = 0;         // V1/V2 device level over num_groups groups of experts
  float communication_alpha = 0;  // V2: tokens sent to each group, limit topk_group
  float sequence_alpha = 0;       // V3: per sequence, scores normalised to sum 1; counts by the raw top-A of the scores
  int num_groups = 1, topk_group = 1;
};

/// Returns the sum of the enabled losses, averaged over sequences, and adds (+=) its gradient, times `grad_scale`, to
/// dscores_TE (f32; f64 with f64; empty view: loss only). Sequences are rows [begins[i], begins[i + 1]).
double balance_loss(Exec& ex, View dscores_TE, ConstView scores_TE, Mat<const int> index_TA,
                    std::span<const index_t> sequence_begins, const BalanceLossConfig& config, double grad_scale);

}  // namespace hadal::kernels
