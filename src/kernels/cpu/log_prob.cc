#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <cmath>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"

namespace {

/// Of one row: the largest logit, log sum_v e^(logit_v - top), and the entropy.
struct RowStatistics {
  float top, log_total, entropy;
};

template <class X>
RowStatistics statistics(const X* logits, index_t vocab_size, bool wants_entropy) {
  const float top = largest(logits, vocab_size);
  // With d = logit - top: H = log(sum e^d) - sum(e^d d) / sum(e^d). A logit of -infinity adds 0, not 0 * infinity.
  Vec totals[4] = {}, products[4] = {};
  for_vectors_by_4(vocab_size, [&](index_t i, auto lanes, int k) {
    const Vec d = load(logits + i, lanes) - top, e = existing(exp(d), lanes);
    totals[k] += e;
    if (wants_entropy) products[k] += e * max(splat(-1e4F), d);
  });
  const float total = sum((totals[0] + totals[1]) + (totals[2] + totals[3]));
  const float log_total = std::log(total);
  if (!wants_entropy) return {top, log_total, 0};
  return {top, log_total, log_total - sum((products[0] + products[1]) + (products[2] + products[3])) / total};
}

template <class X, class DX>
void rows_of_gradient(Exec& ex, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                      const float* dlogp_T, const float* dentropy_T) {
  const index_t vocab_size = logits_TV.cols;
  for_row_blocks(ex, logits_TV.rows, vocab_size, [&](index_t begin, index_t end, int /*worker*/) {
    for (index_t t = begin; t < end; ++t) {
      const X* const logits = row_of<X>(logits_TV, t);
      DX* const dlogits = row_of<DX>(dlogits_TV, t);
      const index_t target = target_T[static_cast<std::size_t>(t)];
      const float a = target < 0 ? 0 : dlogp_T[t], b = target < 0 || dentropy_T == nullptr ? 0 : dentropy_T[t];
      if (a == 0 && b == 0) {
        for_vectors(vocab_size, [&](index_t i, auto lanes) { store(dlogits + i, Vec{}, lanes); });
        continue;
      }
      const auto [top, log_total, h] = statistics(logits, vocab_size, b != 0);
      const float target_log_p = value(logits[target]) - top - log_total;
      // -p (a + b (log p + H)); the target's place gains a.
      for_vectors(vocab_size, [&](index_t i, auto lanes) {
        const Vec log_p = max(splat(-1e4F), load(logits + i, lanes) - top - log_total);
        store(dlogits + i, -exp(log_p) * (log_p * b + (a + b * h)), lanes);
      });
      const float p = std::exp(target_log_p);
      set(dlogits[target], a * (1.0F - p) - b * p * (target_log_p + h));
    }
  });
}

}  // namespace

void entropy(Exec& ex, View entropy_T, ConstView logits_TV, std::span<const int> target_T) {
  if (logits_TV.dtype == DType::kF64) return ref::entropy(ex, entropy_T, logits_TV, target_T);
  with_type(logits_TV.dtype, [&](auto x) {
    using X = typename decltype(x)::type;
    float* const out = row_of<float>(entropy_T, 0);
    for_row_blocks(ex, logits_TV.rows, logits_TV.cols, [&](index_t begin, index_t end, int /*worker*/) {
      for (index_t t = begin; t < end; ++t)
        out[t] = target_T[static_cast<std::size_t>(t)] < 0
                     ? 0
                     : statistics(row_of<X>(logits_TV, t), logits_TV.cols, true).entropy;
    });
  });
}

void log_prob_backward(Exec& ex, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T, ConstView dlogp_T,
                       ConstView dentropy_T) {
  if (logits_TV.dtype == DType::kF64)
    return ref::log_prob_backward(ex, dlogits_TV, logits_TV, target_T, dlogp_T, dentropy_T);
  with_type(logits_TV.dtype, [&](auto x) {
    with_type(dlogits_TV.dtype, [&](auto dx) {
      rows_of_gradient<typename decltype(x)::type, typename decltype(dx)::type>(
          ex, dlogits_TV, logits_TV, target_T, row_of<float>(dlogp_T, 0),
          dentropy_T.empty() ? nullptr : row_of<float>(dentropy_T, 0));
    });
  });
}

#include "kernels/cpu/isa_end.h"
