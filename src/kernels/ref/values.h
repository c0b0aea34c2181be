#pragma once
// Views of any float type as doubles, for the plain loops of the reference products.
#include <vector>

#include "kernels/exec.h"

namespace hadal::kernels::ref {

/// Element (r, c). Float types of 8 bits or more.
inline double value(ConstView v, index_t r, index_t c) {
  switch (v.dtype) {
    case DType::kF64:
      return v.as<double>()(r, c);
    case DType::kF32:
      return v.as<float>()(r, c);
    case DType::kBF16:
      return to_f32(v.as<bf16>()(r, c));
    case DType::kE4M3:
      return to_f32(v.as<e4m3>()(r, c));
    default:
      fail("kernels: reference has no loads of ", dtype_name(v.dtype));
  }
}

/// Row-major copy.
inline std::vector<double> values(ConstView v) {
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(v.count()));
  for (index_t r = 0; r < v.rows; ++r)
    for (index_t c = 0; c < v.cols; ++c) out.push_back(value(v, r, c));
  return out;
}

inline void write_value(View out, index_t r, index_t c, double sum, Write write) {
  if (write == Write::kAdd) sum += value(out, r, c);
  switch (out.dtype) {
    case DType::kF64:
      out.as<double>()(r, c) = sum;
      return;
    case DType::kF32:
      out.as<float>()(r, c) = static_cast<float>(sum);
      return;
    case DType::kBF16:
      out.as<bf16>()(r, c) = to_bf16(static_cast<float>(sum));
      return;
    default:
      fail("kernels: reference has no stores of ", dtype_name(out.dtype));
  }
}

/// out (write) sums, row by row.
inline void write_row(View out, index_t r, const double* sums, Write write) {
  for (index_t c = 0; c < out.cols; ++c) write_value(out, r, c, sums[c], write);
}

}  // namespace hadal::kernels::ref
