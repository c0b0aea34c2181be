#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <cstring>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"

namespace {

/// The rows of x_SD that token t was sent to, each times its weight (none: 1), added to row t of y in the order of the
/// choices.
template <class X, class Y>
void add_slots(Exec& ex, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) {
  constexpr index_t kAtOnce = 16;  // choices of one pass over the row
  const index_t num_chosen = plan.slot_TA.cols;
  for_row_blocks(ex, y_TD.rows, y_TD.cols * (num_chosen + 1), [&](index_t begin, index_t end, int /*worker*/) {
    const X* rows[kAtOnce];
    float weights[kAtOnce];
    for (index_t t = begin; t < end; ++t) {
      Y* const y = row_of<Y>(y_TD, t);
      for (index_t a = 0; a < num_chosen;) {
        index_t num = 0;
        for (; a < num_chosen && num < kAtOnce; ++a) {
          const index_t slot = plan.slot_TA(t, a);
          if (slot < 0) continue;
          rows[num] = row_of<X>(x_SD, slot);
          weights[num++] = weight_TA.empty() ? 1.0F : row_of<float>(weight_TA, t)[a];
        }
        const index_t cols = y_TD.cols;
        index_t i = 0;
        for (; i + 4 * kLanes <= cols; i += 4 * kLanes) {
          Vec total[4];
#pragma GCC unroll 4
          for (int k = 0; k < 4; ++k) total[k] = load(y + i + k * kLanes);
          for (index_t n = 0; n < num; ++n) {
            const Vec weight = splat(weights[n]);
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) total[k] = fma(load(rows[n] + i + k * kLanes), weight, total[k]);
          }
#pragma GCC unroll 4
          for (int k = 0; k < 4; ++k) store(y + i + k * kLanes, total[k]);
        }
        for_vectors(cols - i, [&](index_t rest, auto lanes) {
          Vec total = load(y + i + rest, lanes);
          for (index_t n = 0; n < num; ++n) total = fma(load(rows[n] + i + rest, lanes), splat(weights[n]), total);
          store(y + i + rest, total, lanes);
        });
      }
    }
  });
}

template <class DY, class X, class DX>
void backward(Exec& ex, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA,
              const DispatchPlan& plan) {
  const index_t num_chosen = plan.slot_TA.cols, cols = dy_TD.cols;
  for_row_blocks(ex, dy_TD.rows, cols * num_chosen, [&](index_t begin, index_t end, int /*worker*/) {
    for (index_t t = begin; t < end; ++t) {
      const DY* const dy = row_of<DY>(dy_TD, t);
      for (index_t a = 0; a < num_chosen; ++a) {
        float& dweight = row_of<float>(dweight_TA, t)[a];
        const index_t slot = plan.slot_TA(t, a);
        if (slot < 0) {
          dweight = 0;
          continue;
        }
        const Vec weight = splat(row_of<float>(weight_TA, t)[a]);
        const X* const x = row_of<X>(x_SD, slot);
        DX* const dx = row_of<DX>(dx_SD, slot);
        Vec dots[4] = {};
        for_vectors_by_4(cols, [&](index_t i, auto lanes, int k) {
          const Vec v = load(dy + i, lanes);
          dots[k] = fma(v, load(x + i, lanes), dots[k]);
          store(dx + i, weight * v, lanes);
        });
        dweight = sum((dots[0] + dots[1]) + (dots[2] + dots[3]));
      }
    }
  });
}

}  // namespace

void dispatch_gather(Exec& ex, View y_SD, ConstView x_TD, const DispatchPlan& plan) {
  const index_t bytes = bytes_of(x_TD.dtype, x_TD.cols);
  const index_t from = bytes_of(x_TD.dtype, x_TD.stride), to = bytes_of(y_SD.dtype, y_SD.stride);
  for_row_blocks(ex, plan.offsets.back(), x_TD.cols, [&](index_t begin, index_t end, int /*worker*/) {
    for (index_t s = begin; s < end; ++s)
      std::memcpy(y_SD.data + s * to, x_TD.data + plan.token_of_S[static_cast<std::size_t>(s)] * from,
                  static_cast<std::size_t>(bytes));
  });
}

void dispatch_gather_backward(Exec& ex, View dx_TD, ConstView dy_SD, const DispatchPlan& plan) {
  if (dx_TD.dtype == DType::kF64) return ref::dispatch_gather_backward(ex, dx_TD, dy_SD, plan);
  with_type(dy_SD.dtype, [&](auto x) {
    with_type(dx_TD.dtype, [&](auto y) {
      add_slots<typename decltype(x)::type, typename decltype(y)::type>(ex, dx_TD, dy_SD, {}, plan);
    });
  });
}

void combine(Exec& ex, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) {
  if (y_TD.dtype == DType::kF64) return ref::combine(ex, y_TD, x_SD, weight_TA, plan);
  with_type(x_SD.dtype, [&](auto x) {
    with_type(y_TD.dtype, [&](auto y) {
      add_slots<typename decltype(x)::type, typename decltype(y)::type>(ex, y_TD, x_SD, weight_TA, plan);
    });
  });
}

void combine_backward(Exec& ex, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA,
                      const DispatchPlan& plan) {
  if (dy_TD.dtype == DType::kF64) return ref::combine_backward(ex, dx_SD, dweight_TA, dy_TD, x_SD, weight_TA, plan);
  with_type(dy_TD.dtype, [&](auto dy) {
    with_type(x_SD.dtype, [&](auto x) {
      with_type(dx_SD.dtype, [&](auto dx) {
        backward<typename decltype(dy)::type, typename decltype(x)::type, typename decltype(dx)::type>(
            ex, dx_SD, dweight_TA, dy_TD, x_SD, weight_TA, plan);
      });
    });
  });
}

#include "kernels/cpu/isa_end.h"
