#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <cmath>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"

namespace {

template <class X, class Y, class G>
void forward(Exec& ex, View y_TD, View rstd_T, ConstView x_TD, const G* gain, float eps) {
  const index_t cols = x_TD.cols;
  float* const rstd = rstd_T.empty() ? nullptr : row_of<float>(rstd_T, 0);
  for_row_blocks(ex, x_TD.rows, cols, [&](index_t begin, index_t end, int /*worker*/) {
    for (index_t t = begin; t < end; ++t) {
      const X* const x = row_of<X>(x_TD, t);
      Y* const y = row_of<Y>(y_TD, t);
      Vec squares[4] = {};
      for_vectors_by_4(cols, [&](index_t i, auto lanes, int k) {
        const Vec v = load(x + i, lanes);
        squares[k] = fma(v, v, squares[k]);
      });
      const float mean = sum((squares[0] + squares[1]) + (squares[2] + squares[3])) / static_cast<float>(cols);
      const float r = 1.0F / std::sqrt(mean + eps);
      if (rstd != nullptr) rstd[t] = r;
      for_vectors(cols,
                  [&](index_t i, auto lanes) { store(y + i, load(x + i, lanes) * r * load(gain + i, lanes), lanes); });
    }
  });
}

// One visit per row, while it is in the first-level cache: dx of the row, and its share of dgain.
template <class X, class DY, class DX>
void backward(Exec& ex, View dx_TD, float* dgain, ConstView dy_TD, ConstView x_TD, const float* gain, const float* rstd,
              bool add) {
  const index_t cols = x_TD.cols;
  sum_over_rows(ex, dgain, x_TD.rows, cols, [&](index_t begin, index_t end, float* partial) {
    for (index_t t = begin; t < end; ++t) {
      const X* const x = row_of<X>(x_TD, t);
      const DY* const dy = row_of<DY>(dy_TD, t);
      DX* const dx = row_of<DX>(dx_TD, t);
      Vec dots[4] = {};
      for_vectors_by_4(cols, [&](index_t i, auto lanes, int k) {
        dots[k] = fma(load(dy + i, lanes) * load(gain + i, lanes), load(x + i, lanes), dots[k]);
      });
      const float r = rstd[t];
      const float dot = sum((dots[0] + dots[1]) + (dots[2] + dots[3])) * r / static_cast<float>(cols);
      const Vec slope = splat(-dot * r);
      for_vectors(cols, [&](index_t i, auto lanes) {
        const Vec xv = load(x + i, lanes), dyv = load(dy + i, lanes);
        const Vec v = fma(xv, slope, dyv * load(gain + i, lanes)) * r;
        store(partial + i, fma(dyv, xv * r, load(partial + i, lanes)), lanes);
        store(dx + i, add ? load(dx + i, lanes) + v : v, lanes);
      });
    }
  });
}

}  // namespace

void rmsnorm_forward(Exec& ex, View y_TD, View rstd_T, ConstView x_TD, ConstView gain_D, float eps) {
  if (x_TD.dtype == DType::kF64) return ref::rmsnorm_forward(ex, y_TD, rstd_T, x_TD, gain_D, eps);
  with_type(x_TD.dtype, [&](auto x) {
    with_type(y_TD.dtype, [&](auto y) {
      with_type(gain_D.dtype, [&](auto g) {
        using G = typename decltype(g)::type;
        forward<typename decltype(x)::type, typename decltype(y)::type>(ex, y_TD, rstd_T, x_TD, row_of<G>(gain_D, 0),
                                                                        eps);
      });
    });
  });
}

void rmsnorm_backward(Exec& ex, View dx_TD, View dgain_D, ConstView dy_TD, ConstView x_TD, ConstView gain_D,
                      ConstView rstd_T, Write write) {
  if (x_TD.dtype == DType::kF64) return ref::rmsnorm_backward(ex, dx_TD, dgain_D, dy_TD, x_TD, gain_D, rstd_T, write);
  const float* gain = nullptr;
  if (gain_D.dtype == DType::kF32) {
    gain = row_of<float>(gain_D, 0);
  } else {
    auto* const widened = reinterpret_cast<float*>(ex.scratch(0, gain_D.cols * static_cast<index_t>(sizeof(float))));
    const bf16* const narrow_gain = row_of<bf16>(gain_D, 0);
    for_vectors(gain_D.cols, [&](index_t i, auto lanes) { store(widened + i, load(narrow_gain + i, lanes), lanes); });
    gain = widened;
  }
  with_type(x_TD.dtype, [&](auto x) {
    with_type(dy_TD.dtype, [&](auto dy) {
      with_type(dx_TD.dtype, [&](auto dx) {
        backward<typename decltype(x)::type, typename decltype(dy)::type, typename decltype(dx)::type>(
            ex, dx_TD, row_of<float>(dgain_D, 0), dy_TD, x_TD, gain, row_of<float>(rstd_T, 0), write == Write::kAdd);
      });
    });
  });
}

#include "kernels/cpu/isa_end.h"
