#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <cmath>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"

namespace {

/// The first index that holds `v`; 0 when there is none (NaN).
template <class X>
index_t find(const X* logits, index_t n, float v) {
  for (index_t i = 0; i < n; ++i)
    if (value(logits[i]) == v) return i;
  return 0;
}

template <class X, class DX>
void rows_of_loss(Exec& ex, float* loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                  float grad_scale, std::span<int> argmax_T) {
  const index_t vocab_size = logits_TV.cols;
  for_row_blocks(ex, logits_TV.rows, vocab_size, [&](index_t begin, index_t end, int worker) {
    for (index_t t = begin; t < end; ++t) {
      const X* const logits = row_of<X>(logits_TV, t);
      const index_t target = target_T[static_cast<std::size_t>(t)];
      DX* const dlogits = dlogits_TV.empty() ? nullptr : row_of<DX>(dlogits_TV, t);
      const bool wants_argmax = !argmax_T.empty();
      if (target < 0) {
        loss_T[t] = 0;
        if (wants_argmax)
          argmax_T[static_cast<std::size_t>(t)] =
              static_cast<int>(find(logits, vocab_size, largest(logits, vocab_size)));
        if (dlogits != nullptr)
          for_vectors(vocab_size, [&](index_t i, auto lanes) { store(dlogits + i, Vec{}, lanes); });
        continue;
      }
      const float top = largest(logits, vocab_size);
      if (wants_argmax) argmax_T[static_cast<std::size_t>(t)] = static_cast<int>(find(logits, vocab_size, top));
      // e^(logit - top) is kept, where it is wanted again: in the gradient's row itself when that is f32.
      float* kept = nullptr;
      if constexpr (std::is_same_v<DX, float>)
        kept = dlogits;
      else if (dlogits != nullptr)
        kept = reinterpret_cast<float*>(ex.scratch(worker, vocab_size * static_cast<index_t>(sizeof(float))));
      const float below_top = value(logits[target]) - top;
      Vec parts[4] = {};
      for_vectors_by_4(vocab_size, [&](index_t i, auto lanes, int k) {
        const Vec e = exp(load(logits + i, lanes) - top);
        if (kept != nullptr) store(kept + i, e, lanes);
        parts[k] += existing(e, lanes);
      });
      const float total = sum((parts[0] + parts[1]) + (parts[2] + parts[3]));
      loss_T[t] = std::log(total) - below_top;
      if (dlogits == nullptr) continue;
      const Vec factor = splat(grad_scale / total);
      for_vectors(vocab_size,
                  [&](index_t i, auto lanes) { store(dlogits + i, load(kept + i, lanes) * factor, lanes); });
      set(dlogits[target], (std::exp(below_top) / total - 1.0F) * grad_scale);
    }
  });
}

}  // namespace

void cross_entropy(Exec& ex, View loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                   double grad_scale, std::span<int> argmax_T) {
  if (logits_TV.dtype == DType::kF64)
    return ref::cross_entropy(ex, loss_T, dlogits_TV, logits_TV, target_T, grad_scale, argmax_T);
  with_type(logits_TV.dtype, [&](auto x) {
    with_type(dlogits_TV.empty() ? DType::kF32 : dlogits_TV.dtype, [&](auto dx) {
      rows_of_loss<typename decltype(x)::type, typename decltype(dx)::type>(
          ex, row_of<float>(loss_T, 0), dlogits_TV, logits_TV, target_T, static_cast<float>(grad_scale), argmax_T);
    });
  });
}

#include "kernels/cpu/isa_end.h"
