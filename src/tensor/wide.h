#pragma once
// Values that are kept in f32, or in f64 where a whole model runs in it (Precision::wide).
#include "tensor/view.h"

namespace hadal {

/// The value at a place of a view of f32 or f64.
inline double wide_at(ConstView v, index_t row, index_t col) {
  return v.dtype == DType::kF64 ? v.as<double>()(row, col) : v.as<float>()(row, col);
}

}  // namespace hadal
