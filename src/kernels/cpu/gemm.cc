#include "kernels/gemm.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/cpu/intrinsics.h"
#include "kernels/fp8.h"
#include "kernels/packed_gemm.h"

#include "kernels/cpu/isa_begin.h"

#include "kernels/cpu/gemm_driver.h"

// In int_gemm.cc and fp8_weight_gemm.cc.
index_t packed_int_bytes(DType as, index_t rows, index_t cols);
index_t packed_fp8_bytes(index_t rows, index_t cols);
void pack_int_matrix(Exec& ex, std::byte* to, ConstView w, DType as);
void packed_int_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                        Write write);
void packed_fp8_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                        Write write);

namespace {

template <class T, Form kForm>
void multiply_groups(Exec& ex, View out, Mat<const T> a, Mat<const T> b, std::span<const index_t> offsets,
                     Write write) {
  std::vector<Group<T>> groups = make_groups<T, kForm>(out, a, b, offsets, write);
  Driver<T, kForm>(ex, out, a.stride, b.stride, write).run(groups);
}

template <Form kForm>
void multiply_any(Exec& ex, View out, ConstView a, ConstView b, std::span<const index_t> offsets, Write write) {
  if (a.dtype == DType::kF32)
    multiply_groups<float, kForm>(ex, out, a.as<float>(), b.as<float>(), offsets, write);
  else
    multiply_groups<bf16, kForm>(ex, out, a.as<bf16>(), b.as<bf16>(), offsets, write);
}

template <class T>
void pack_panels(Exec& ex, std::byte* to, Mat<const T> w) {
  ex.pool.parallel_for(divide_up(w.rows, kPanel),
                       [&](index_t i, int) { pack_panel(to, i * kPanel, w.rows, w.data, w.stride, w.cols); });
}

template <class T>
void multiply_packed(Exec& ex, View y, Mat<const T> x, const PackedWeights& w, std::span<const index_t> offsets,
                     Write write) {
  std::vector<Group<T>> groups = make_groups<T, Form::kNt>(y, x, Mat<const T>{}, offsets, write);
  for (std::size_t e = 0; e < groups.size(); ++e) groups[e].packed = w.matrices[e];
  Driver<T, Form::kNt>(ex, y, x.stride, 0, write).run(groups, w.matrices);
}

}  // namespace

index_t packed_bytes(DType as, index_t rows, index_t cols) {
  if (is_int(as)) return packed_int_bytes(as, rows, cols);
  if (as == DType::kE4M3) return packed_fp8_bytes(rows, cols);
  const index_t padded = divide_up(rows, kLanes) * kLanes;
  return as == DType::kF32 ? packed_offset<float>(padded, cols, 0, 0) : packed_offset<bf16>(padded, cols, 0, 0);
}
void pack_matrix(Exec& ex, std::byte* to, ConstView w, DType as) {
  if (is_int(as)) return pack_int_matrix(ex, to, w, as);
  w.dtype == DType::kF32 ? pack_panels(ex, to, w.as<float>()) : pack_panels(ex, to, w.as<bf16>());
}
void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write) {
  if (is_int(w.dtype)) return packed_int_gemm_nt(ex, y_SF, x_SD, w, offsets, write);
  if (w.dtype == DType::kE4M3) return packed_fp8_gemm_nt(ex, y_SF, x_SD, w, offsets, write);
  if (w.dtype == DType::kF32)
    multiply_packed(ex, y_SF, x_SD.as<float>(), w, offsets, write);
  else
    multiply_packed(ex, y_SF, x_SD.as<bf16>(), w, offsets, write);
}

void grouped_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  multiply_any<Form::kNt>(ex, y_SF, x_SD, w_ExFD, offsets, write);
}
void grouped_gemm_nn(Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  multiply_any<Form::kNn>(ex, dx_SD, dy_SF, w_ExFD, offsets, write);
}
void grouped_gemm_tn(Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets,
                     Write write) {
  multiply_any<Form::kTn>(ex, dw_ExFD, dy_SF, x_SD, offsets, write);
}

#include "kernels/cpu/isa_end.h"
