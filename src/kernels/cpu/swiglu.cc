#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"

namespace {

HADAL_INLINE Vec sigmoid(Vec x) {
  return 1.0F / (1.0F + exp(-x));
}

template <class X, class Y>
void forward(Exec& ex, View h_TF, ConstView gate_up_Tx2F) {
  const index_t width = h_TF.cols;
  for_row_blocks(ex, h_TF.rows, width, [&](index_t begin, index_t end, int /*worker*/) {
    for (index_t t = begin; t < end; ++t) {
      const X* const gate = row_of<X>(gate_up_Tx2F, t);
      Y* const h = row_of<Y>(h_TF, t);
      for_vectors(width, [&](index_t i, auto lanes) {
        const Vec g = load(gate + i, lanes);
        store(h + i, g * sigmoid(g) * load(gate + width + i, lanes), lanes);
      });
    }
  });
}

template <class X, class DY, class DX>
void backward(Exec& ex, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F) {
  const index_t width = dh_TF.cols;
  for_row_blocks(ex, dh_TF.rows, width, [&](index_t begin, index_t end, int /*worker*/) {
    for (index_t t = begin; t < end; ++t) {
      const X* const gate = row_of<X>(gate_up_Tx2F, t);
      const DY* const dh = row_of<DY>(dh_TF, t);
      DX* const dgate = row_of<DX>(dgate_up_Tx2F, t);
      for_vectors(width, [&](index_t i, auto lanes) {
        const Vec g = load(gate + i, lanes), u = load(gate + width + i, lanes), d = load(dh + i, lanes);
        const Vec s = sigmoid(g);
        const Vec silu = g * s;
        store(dgate + i, d * u * fma(silu, 1.0F - s, s), lanes);
        store(dgate + width + i, d * silu, lanes);
      });
    }
  });
}

}  // namespace

void swiglu_forward(Exec& ex, View h_TF, ConstView gate_up_Tx2F) {
  if (h_TF.dtype == DType::kF64) return ref::swiglu_forward(ex, h_TF, gate_up_Tx2F);
  with_type(gate_up_Tx2F.dtype, [&](auto x) {
    with_type(h_TF.dtype,
              [&](auto y) { forward<typename decltype(x)::type, typename decltype(y)::type>(ex, h_TF, gate_up_Tx2F); });
  });
}

void swiglu_backward(Exec& ex, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F) {
  if (dh_TF.dtype == DType::kF64) return ref::swiglu_backward(ex, dgate_up_Tx2F, dh_TF, gate_up_Tx2F);
  with_type(gate_up_Tx2F.dtype, [&](auto x) {
    with_type(dh_TF.dtype, [&](auto dy) {
      with_type(dgate_up_Tx2F.dtype, [&](auto dx) {
        backward<typename decltype(x)::type, typename decltype(dy)::type, typename decltype(dx)::type>(
            ex, dgate_up_Tx2F, dh_TF, gate_up_Tx2F);
      });
    });
  });
}

#include "kernels/cpu/isa_end.h"
