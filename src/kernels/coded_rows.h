#pragma once
// Rows of a cache in 8 bits: E4M3 codes or integers (kI8), and behind the codes of a row a scale in f32 for each 128 of
// its values. value = code * scale, rounded to the dtype that it is read in.
#include "kernels/exec.h"
#include "tensor/view.h"

namespace hadal::kernels {

inline constexpr index_t kCodedGroup = 128;

inline bool is_coded(DType dtype) {
  return dtype == DType::kE4M3 || dtype == DType::kI8;
}
/// Where the scales of a row stand, and the bytes of a row: the stride of its view, which has `cols` columns.
constexpr index_t coded_scales_at(index_t cols) {
  return (cols + 3) / 4 * 4;
}
constexpr index_t coded_row_bytes(index_t cols) {
  return coded_scales_at(cols) + (cols + kCodedGroup - 1) / kCodedGroup * 4;
}

/// to[rows[t]] = from[t], quantised: scale = max |x| / 448 (E4M3, as fp8_quantize_rows) or / 127 (kI8). from: f32 or
/// bf16. Other dtypes of `to` are copied.
void store_rows(Exec& ex, View to, std::span<const index_t> rows, ConstView from);
/// to[t] = from[rows(t)]; to: f32 or bf16. Other dtypes of `from` are copied.
void load_rows(Exec& ex, View to, ConstView from, std::span<const index_t> rows);

}  // namespace hadal::kernels
