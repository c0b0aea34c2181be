#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <limits>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();  // of what was taken, or may not be chosen
constexpr float kLowest = std::numeric_limits<float>::lowest();

/// n values, padded with kNever to whole vectors.
index_t padded(index_t n) {
  return tasks_of(n, kLanes) * kLanes;
}

/// Index of the largest value, the lowest among equals, and marks it as taken. `values` is padded.
index_t take_best(float* values, index_t n) {
  Vec best = load(values);
  for (index_t i = kLanes; i < n; i += kLanes) best = max(best, load(values + i));
  const float top = max_of(best);
  index_t i = 0;
#if defined(HADAL_ISA_IS_avx512)
  for (;; i += kLanes) {
    const unsigned equal = _mm512_cmpeq_ps_mask(_mm512_loadu_ps(values + i), _mm512_set1_ps(top));
    if (equal == 0) continue;
    i += __builtin_ctz(equal);
    break;
  }
#elif defined(HADAL_ISA_IS_avx2)
  for (;; i += kLanes) {
    const int equal = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(values + i), _mm256_set1_ps(top), _CMP_EQ_OQ));
    if (equal == 0) continue;
    i += __builtin_ctz(static_cast<unsigned>(equal));
    break;
  }
#else
  while (values[i] != top) ++i;
#endif
  values[i] = kNever;
  return i;
}

void scores_of_row(float* scores, const float* logits, index_t n, ScoringFunc func) {
  if (func == ScoringFunc::kSigmoid) {
    for_vectors(
        n, [&](index_t i, auto lanes) { store(scores + i, 1.0F / (1.0F + exp(-load(logits + i, lanes))), lanes); });
    return;
  }
  float top = logits[0];
  for (index_t i = 1; i < n; ++i) top = logits[i] > top ? logits[i] : top;
  Vec total = {};
  for_vectors(n, [&](index_t i, auto lanes) {
    const Vec e = exp(load(logits + i, lanes) - top);
    total += existing(e, lanes);
    store(scores + i, e, lanes);
  });
  const Vec divisor = splat(sum(total));
  for_vectors(n, [&](index_t i, auto lanes) { store(scores + i, load(scores + i, lanes) / divisor, lanes); });
}

/// Marks the experts of all groups but the best ones. group_score: padded(n_group) floats of scratch.
void keep_best_groups(float* selection, float* group_score, index_t num_experts, const RouterPolicy& policy) {
  const index_t size = num_experts / policy.n_group;
  const bool two = policy.topk_method == TopkMethod::kNoauxTc && size > 1;
  for (index_t g = 0; g < padded(policy.n_group); ++g) group_score[g] = kNever;
  for (index_t g = 0; g < policy.n_group; ++g) {
    float first = kNever, second = kNever;
    for (index_t e = g * size; e < (g + 1) * size; ++e) {
      const float v = selection[e], lower = v < first ? v : first;
      first = v > first ? v : first;
      second = lower > second ? lower : second;
    }
    // Not minus infinity even for two scores that are no numbers: that is the mark of what was taken.
    const float score = two ? first + second : first;
    group_score[g] = score > kLowest ? score : kLowest;
  }
  for (int k = 0; k < policy.topk_group; ++k) take_best(group_score, policy.n_group);
  // What is still there was not taken.
  for (index_t g = 0; g < policy.n_group; ++g)
    if (group_score[g] != kNever)
      for (index_t e = g * size; e < (g + 1) * size; ++e) selection[e] = kNever;
}

}  // namespace

void router_forward(Exec& ex, const RouterChoice& choice, ConstView logits_TE, ConstView bias_E,
                    const RouterPolicy& policy) {
  if (logits_TE.dtype == DType::kF64) return ref::router_forward(ex, choice, logits_TE, bias_E, policy);
  const index_t num_experts = logits_TE.cols;
  const bool biased = policy.topk_method == TopkMethod::kNoauxTc && !bias_E.empty();
  const float* const bias = biased ? row_of<float>(bias_E, 0) : nullptr;
  for_row_blocks(ex, logits_TE.rows, 8 * num_experts, [&](index_t begin, index_t end, int worker) {
    const index_t floats = padded(num_experts) + padded(policy.n_group);
    auto* const selection = reinterpret_cast<float*>(ex.scratch(worker, floats * static_cast<index_t>(sizeof(float))));
    for (index_t t = begin; t < end; ++t) {
      float* const scores = row_of<float>(choice.scores_TE, t);
      scores_of_row(scores, row_of<float>(logits_TE, t), num_experts, policy.scoring_func);
      for (index_t e = num_experts; e < padded(num_experts); ++e) selection[e] = kNever;
      // Scores that are no numbers, or infinite, lose, but less than those that may not win.
      const Vec lowest = splat(kLowest);
      for_vectors(num_experts, [&](index_t i, auto lanes) {
        const Vec s = load(scores + i, lanes);
        store(selection + i, max(biased ? s + load(bias + i, lanes) : s, lowest), lanes);
      });
      if (policy.topk_method != TopkMethod::kGreedy)
        keep_best_groups(selection, selection + padded(num_experts), num_experts, policy);
      float* const weight = row_of<float>(choice.weight_TA, t);
      float total = 0;
      for (index_t a = 0; a < policy.num_experts_per_tok; ++a) {
        const index_t e = take_best(selection, num_experts);
        choice.index_TA(t, a) = static_cast<int>(e);
        weight[a] = scores[e];
        total += scores[e];
      }
      const float factor = policy.routed_scaling_factor / (policy.norm_topk_prob ? total + 1e-20F : 1.0F);
      for (index_t a = 0; a < policy.num_experts_per_tok; ++a) weight[a] *= factor;
    }
  });
}

void router_backward(Exec& ex, View dlogits_TE, ConstView dweight_TA, ConstView dscores_TE, const RouterChoice& choice,
                     const RouterPolicy& policy) {
  if (dlogits_TE.dtype == DType::kF64)
    return ref::router_backward(ex, dlogits_TE, dweight_TA, dscores_TE, choice, policy);
  const index_t num_experts = dlogits_TE.cols, num_chosen = choice.index_TA.cols;
  for_row_blocks(ex, dlogits_TE.rows, 4 * num_experts, [&](index_t begin, index_t end, int /*worker*/) {
    for (index_t t = begin; t < end; ++t) {
      const float* const scores = row_of<float>(choice.scores_TE, t);
      const float* const dweight = row_of<float>(dweight_TA, t);
      const float* const dscores = dscores_TE.empty() ? nullptr : row_of<float>(dscores_TE, t);
      float* const dlogits = row_of<float>(dlogits_TE, t);  // holds the gradient of the scores first
      for_vectors(num_experts, [&](index_t i, auto lanes) {
        store(dlogits + i, dscores == nullptr ? Vec{} : load(dscores + i, lanes), lanes);
      });
      float total = 1e-20F, dw_s = 0;
      for (index_t a = 0; a < num_chosen; ++a) {
        const float s = scores[choice.index_TA(t, a)];
        total += s;
        dw_s += dweight[a] * s;
      }
      for (index_t a = 0; a < num_chosen; ++a)
        dlogits[choice.index_TA(t, a)] +=
            policy.routed_scaling_factor * (policy.norm_topk_prob ? (dweight[a] - dw_s / total) / total : dweight[a]);
      if (policy.scoring_func == ScoringFunc::kSigmoid) {
        for_vectors(num_experts, [&](index_t i, auto lanes) {
          const Vec s = load(scores + i, lanes);
          store(dlogits + i, load(dlogits + i, lanes) * s * (1.0F - s), lanes);
        });
        continue;
      }
      Vec dots = {};
      for_vectors(num_experts,
                  [&](index_t i, auto lanes) { dots = fma(load(dlogits + i, lanes), load(scores + i, lanes), dots); });
      const Vec ds_s = splat(sum(dots));
      for_vectors(num_experts, [&](index_t i, auto lanes) {
        store(dlogits + i, load(scores + i, lanes) * (load(dlogits + i, lanes) - ds_s), lanes);
      });
    }
  });
}

#include "kernels/cpu/isa_end.h"
