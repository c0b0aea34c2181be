#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <cstring>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/small_floats.h"

namespace {

/// Calls f for the type that `dtype` names: f32, bf16, f16, e4m3 or e5m2.
template <class F>
void with_any_type(DType dtype, const F& f) {
  switch (dtype) {
    case DType::kF16:
      return f(Of<f16>{});
    case DType::kE4M3:
      return f(Of<e4m3>{});
    case DType::kE5M2:
      return f(Of<e5m2>{});
    default:
      return with_type(dtype, f);
  }
}

/// Contiguous views of any shape as rows of a length that makes good blocks, when their size allows it.
void even_rows(View& y, ConstView& x) {
  constexpr index_t kCols = 1024;
  if (!y.contiguous() || !x.contiguous() || y.count() % kCols != 0) return;
  y = {y.data, y.dtype, y.count() / kCols, kCols, kCols};
  x = {x.data, x.dtype, y.rows, kCols, kCols};
}

template <class X, class Y>
HADAL_INLINE void convert_row(Y* y, const X* x, index_t n, Write write) {
  if constexpr (std::is_same_v<X, Y>)
    if (write == Write::kAssign) {
      std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(X));
      return;
    }
  if (write == Write::kAdd)
    for_vectors(n, [&](index_t i, auto lanes) { store(y + i, load(y + i, lanes) + load(x + i, lanes), lanes); });
  else
    for_vectors(n, [&](index_t i, auto lanes) { store(y + i, load(x + i, lanes), lanes); });
}

}  // namespace

void convert(Exec& ex, View y, ConstView x, Write write) {
  if (y.dtype == DType::kF64 || x.dtype == DType::kF64) return ref::convert(ex, y, x, write);
  even_rows(y, x);
  with_any_type(x.dtype, [&](auto from) {
    with_any_type(y.dtype, [&](auto to) {
      using X = typename decltype(from)::type;
      using Y = typename decltype(to)::type;
      for_row_blocks(ex, x.rows, x.cols, [&](index_t begin, index_t end, int /*worker*/) {
        for (index_t r = begin; r < end; ++r) convert_row(row_of<Y>(y, r), row_of<X>(x, r), x.cols, write);
      });
    });
  });
}

void embedding_forward(Exec& ex, View y_TD, ConstView table_VD, std::span<const int> ids) {
  if (y_TD.dtype == DType::kF64) return ref::embedding_forward(ex, y_TD, table_VD, ids);
  with_type(table_VD.dtype, [&](auto from) {
    with_type(y_TD.dtype, [&](auto to) {
      using X = typename decltype(from)::type;
      using Y = typename decltype(to)::type;
      for_row_blocks(ex, y_TD.rows, y_TD.cols, [&](index_t begin, index_t end, int /*worker*/) {
        for (index_t t = begin; t < end; ++t)
          convert_row(row_of<Y>(y_TD, t), row_of<X>(table_VD, ids[static_cast<std::size_t>(t)]), y_TD.cols,
                      Write::kAssign);
      });
    });
  });
}

// Tasks own columns: tokens that share an id never meet in two tasks, and each adds in the order of the tokens.
void embedding_backward(Exec& ex, View dtable_VD, ConstView dy_TD, std::span<const int> ids) {
  if (dtable_VD.dtype == DType::kF64) return ref::embedding_backward(ex, dtable_VD, dy_TD, ids);
  constexpr index_t kColumns = 128;
  with_type(dy_TD.dtype, [&](auto from) {
    using X = typename decltype(from)::type;
    ex.pool.parallel_for(tasks_of(dy_TD.cols, kColumns), [&](index_t task, int /*worker*/) {
      const index_t first = task * kColumns, width = dy_TD.cols - first < kColumns ? dy_TD.cols - first : kColumns;
      for (index_t t = 0; t < dy_TD.rows; ++t)
        convert_row(row_of<float>(dtable_VD, ids[static_cast<std::size_t>(t)]) + first, row_of<X>(dy_TD, t) + first,
                    width, Write::kAdd);
    });
  });
}

void bias_forward(Exec& ex, View y_TF, ConstView bias_F) {
  if (y_TF.dtype == DType::kF64) return ref::bias_forward(ex, y_TF, bias_F);
  with_type(bias_F.dtype, [&](auto from) {
    with_type(y_TF.dtype, [&](auto to) {
      using X = typename decltype(from)::type;
      using Y = typename decltype(to)::type;
      for_row_blocks(ex, y_TF.rows, y_TF.cols, [&](index_t begin, index_t end, int /*worker*/) {
        for (index_t t = begin; t < end; ++t)
          convert_row(row_of<Y>(y_TF, t), row_of<X>(bias_F, 0), y_TF.cols, Write::kAdd);
      });
    });
  });
}

void bias_backward(Exec& ex, View dbias_F, ConstView dy_TF) {
  if (dy_TF.dtype == DType::kF64) return ref::bias_backward(ex, dbias_F, dy_TF);
  with_type(dy_TF.dtype, [&](auto from) {
    using X = typename decltype(from)::type;
    sum_over_rows(ex, row_of<float>(dbias_F, 0), dy_TF.rows, dy_TF.cols,
                  [&](index_t begin, index_t end, float* partial) {
                    for (index_t t = begin; t < end; ++t)
                      convert_row(partial, row_of<X>(dy_TF, t), dy_TF.cols, Write::kAdd);
                  });
  });
}

void scale(Exec& ex, View x, double factor) {
  if (x.dtype == DType::kF64) return ref::scale(ex, x, factor);
  ConstView same = x;
  even_rows(x, same);
  const Vec f = splat(static_cast<float>(factor));
  with_type(x.dtype, [&](auto type) {
    using X = typename decltype(type)::type;
    for_row_blocks(ex, x.rows, x.cols, [&](index_t begin, index_t end, int /*worker*/) {
      for (index_t r = begin; r < end; ++r) {
        X* const row = row_of<X>(x, r);
        for_vectors(x.cols, [&](index_t i, auto lanes) { store(row + i, load(row + i, lanes) * f, lanes); });
      }
    });
  });
}

#include "kernels/cpu/isa_end.h"
