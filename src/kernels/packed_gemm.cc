#include "kernels/packed_gemm.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {

PackedWeights pack_weights(Exec& ex, ConstView w_ExFD, index_t num_matrices, DType as) {
  check_view("pack_weights", "w", w_ExFD, w_ExFD.rows, w_ExFD.cols, {DType::kF32, DType::kBF16, DType::kF64});
  HADAL_CHECK(num_matrices > 0 && w_ExFD.rows % num_matrices == 0, "pack_weights: ", w_ExFD.rows, " rows are not ",
              num_matrices, " matrices");
  HADAL_CHECK(w_ExFD.dtype != DType::kF64 || ex.isa == Isa::kReference, "pack_weights: f64 is the reference's");
  HADAL_CHECK(as == w_ExFD.dtype || (is_int(as) && w_ExFD.dtype != DType::kF64),
              "pack_weights: ", dtype_name(w_ExFD.dtype), " as ", dtype_name(as));
  PackedWeights packed{.dtype = as,
                       .num_matrices = num_matrices,
                       .rows = w_ExFD.rows / num_matrices,
                       .cols = w_ExFD.cols,
                       .table = &ex.kernels,
                       .data = {}};
  ex.kernels.fill_packed(ex, packed, w_ExFD);
  return packed;
}

void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write) {
  HADAL_CHECK(w.table == &ex.kernels, "packed_gemm_nt: the weights were packed for another instruction set");
  check_offsets("packed_gemm_nt", offsets, x_SD.rows);
  HADAL_CHECK(static_cast<index_t>(offsets.size()) == w.num_matrices + 1, "packed_gemm_nt: offsets of ",
              static_cast<index_t>(offsets.size()) - 1, " matrices, there are ", w.num_matrices);
  if (is_int(w.dtype))
    check_view("packed_gemm_nt", "x", x_SD, x_SD.rows, w.cols, {DType::kF32, DType::kBF16});
  else
    check_view("packed_gemm_nt", "x", x_SD, x_SD.rows, w.cols, {w.dtype});
  check_view("packed_gemm_nt", "y", y_SF, x_SD.rows, w.rows, {DType::kF32, DType::kBF16, DType::kF64});
  ex.kernels.packed_gemm_nt(ex, y_SF, x_SD, w, offsets, write);
}

}  // namespace hadal::kernels
