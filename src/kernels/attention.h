#pragma once
// Causal softmax attention over packed sequences, without ever holding the [T, S] scores (flash attention). Covers MHA,
// GQA and MQA (k.heads divides q.heads; query head h uses key head h * k.heads / q.heads), MLA in expanded form
// (per-head nope keys, one rope key shared by all heads) and in absorbed form (one key head, the latent, used for
// values too).
#include "kernels/exec.h"

namespace hadal::kernels {

/// Keys of a page of a cache: what the kernels take at a time.
inline constexpr index_t kAttentionPage = 96;

/// Queries [q_begin, q_begin + q_len) see keys [k_begin, k_begin + k_len), aligned at the end: query i sees the first
/// k_len - q_len + i + 1 of them. Training: one segment per sequence, or per document where documents are masked from
/// each other. k_len >= q_len.
/// Forward only: with `pages` (one for each kAttentionPage keys) the keys lie in these pages of k, k_shared and v, and
/// k_begin is not used. Segments may share pages.
struct AttentionSegment {
  index_t q_begin = 0, q_len = 0, k_begin = 0, k_len = 0;
  std::span<const int> pages = {};

  /// The row of k, k_shared and v that key j is in.
  index_t key_row(index_t j) const {
    if (pages.empty()) return k_begin + j;
    return pages[static_cast<std::size_t>(j / kAttentionPage)] * kAttentionPage + j % kAttentionPage;
  }
};

struct AttentionInputs {
  ConstHeads q;         // [T, H, dk]
  ConstHeads k;         // [S, Hk, dk - k_shared.dim]
  ConstHeads k_shared;  // [S, 1, R] or empty: the last R of dk, the same for every head (MLA's rotated key)
  ConstHeads v;         // [S, Hk, dv]
  std::span<const AttentionSegment> segments;
  float scale = 1;
};
struct AttentionGrads {
  Heads dq, dk, dk_shared, dv;  // the shapes of their inputs
};

/// out_t,h = sum_s softmax_s(scale * q_t,h . k_s) v_s;  lse_HT = log sum exp of the scaled scores.
/// Dtypes: all f32, all bf16 (scores and sums in f32), or all f64 (reference table). Writes (=): out [T, H, dv], lse_HT
/// (data nullptr: not kept; f32, f64 with f64). Rows of q outside every segment are left alone.
/// Threads: (segment, head, block of queries); the order of sums depends on the shapes only.
void attention_forward(Exec& ex, Heads out, View lse_HT, const AttentionInputs& in);

/// Adjoint. Writes (=) all gradients in the dtype of the inputs: every row of dq, dk, dv, dk_shared that lies in a
/// segment. Key segments must not overlap. Deterministic.
void attention_backward(Exec& ex, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT,
                        const AttentionInputs& in);

}  // namespace hadal::kernels
