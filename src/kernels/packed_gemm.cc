#include "kernels/packed_gemm.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

PackedWeights empty_weights(const Exec& ex, ConstView w_ExFD, index_t num_matrices, DType as) {
  return {.dtype = as,
          .num_matrices = num_matrices,
          .rows = w_ExFD.rows / num_matrices,
          .cols = w_ExFD.cols,
          .table = &ex.kernels,
          .data = {}};
}

}  // namespace

PackedWeights pack_weights(Exec& ex, ConstView w_ExFD, index_t num_matrices, DType as) {
  check_view("pack_weights", "w", w_ExFD, w_ExFD.rows, w_ExFD.cols, {DType::kF32, DType::kBF16, DType::kF64});
  HADAL_CHECK(num_matrices > 0 && w_ExFD.rows % num_matrices == 0, "pack_weights: ", w_ExFD.rows, " rows are not ",
              num_matrices, " matrices");
  HADAL_CHECK(w_ExFD.dtype != DType::kF64 || ex.isa == Isa::kReference, "pack_weights: f64 is the reference's");
  HADAL_CHECK(as == w_ExFD.dtype || ((is_int(as) || as == DType::kE4M3) && w_ExFD.dtype != DType::kF64),
              "pack_weights: ", dtype_name(w_ExFD.dtype), " as ", dtype_name(as));
  if (as == DType::kE4M3) {
    const index_t rows = w_ExFD.rows / num_matrices, tiles = fp8_tiles(w_ExFD.cols);
    Tensor codes(DType::kE4M3, w_ExFD.rows, w_ExFD.cols), blocks(DType::kF32, num_matrices * fp8_tiles(rows), tiles),
        scales(DType::kF32, w_ExFD.rows, tiles);
    fp8_quantize_blocks(ex, {codes.view(), blocks.view().as<float>()}, w_ExFD, num_matrices, Scales::kF32);
    for (index_t e = 0; e < num_matrices; ++e)
      fp8_scales_of_rows(scales.view().slice_rows(e * rows, rows).as<float>(),
                         blocks.view().slice_rows(e * fp8_tiles(rows), fp8_tiles(rows)).as<float>());
    return pack_fp8_weights(ex, {codes.view(), scales.view().as<float>()}, num_matrices);
  }
  PackedWeights packed = empty_weights(ex, w_ExFD, num_matrices, as);
  ex.kernels.fill_packed(ex, packed, w_ExFD);
  return packed;
}

PackedWeights pack_fp8_weights(Exec& ex, Fp8Const w_ExFD, index_t num_matrices) {
  const ConstView codes = w_ExFD.codes;
  check_view("pack_fp8_weights", "w", codes, codes.rows, codes.cols, {DType::kE4M3});
  HADAL_CHECK(num_matrices > 0 && codes.rows % num_matrices == 0, "pack_fp8_weights: ", codes.rows, " rows are not ",
              num_matrices, " matrices");
  HADAL_CHECK(w_ExFD.scales.rows == codes.rows && w_ExFD.scales.cols == fp8_tiles(codes.cols),
              "pack_fp8_weights: scales are [", w_ExFD.scales.rows, ", ", w_ExFD.scales.cols, "], want [", codes.rows,
              ", ", fp8_tiles(codes.cols), "]");
  PackedWeights packed = empty_weights(ex, codes, num_matrices, DType::kE4M3);
  ex.kernels.fill_packed_fp8(ex, packed, w_ExFD);
  return packed;
}

void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write) {
  HADAL_CHECK(w.table == &ex.kernels, "packed_gemm_nt: the weights were packed for another instruction set");
  check_offsets("packed_gemm_nt", offsets, x_SD.rows);
  HADAL_CHECK(static_cast<index_t>(offsets.size()) == w.num_matrices + 1, "packed_gemm_nt: offsets of ",
              static_cast<index_t>(offsets.size()) - 1, " matrices, there are ", w.num_matrices);
  if (is_int(w.dtype) || w.dtype == DType::kE4M3)
    check_view("packed_gemm_nt", "x", x_SD, x_SD.rows, w.cols, {DType::kF32, DType::kBF16});
  else
    check_view("packed_gemm_nt", "x", x_SD, x_SD.rows, w.cols, {w.dtype});
  check_view("packed_gemm_nt", "y", y_SF, x_SD.rows, w.rows, {DType::kF32, DType::kBF16, DType::kF64});
  ex.kernels.packed_gemm_nt(ex, y_SF, x_SD, w, offsets, write);
}

}  // namespace hadal::kernels
