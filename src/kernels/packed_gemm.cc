#include "kernels/packed_gemm.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check_packable(Exec& ex, ConstView w, DType as) {
  check_view("pack_weights", "w", w, w.rows, w.cols, {DType::kF32, DType::kBF16, DType::kF64});
  HADAL_CHECK(w.dtype != DType::kF64 || ex.isa == Isa::kReference, "pack_weights: f64 is the reference's");
  HADAL_CHECK(as == w.dtype || ((is_int(as) || as == DType::kE4M3) && w.dtype != DType::kF64),
              "pack_weights: ", dtype_name(w.dtype), " as ", dtype_name(as));
}

/// A checked matrix.
void pack(Exec& ex, std::byte* to, ConstView w, DType as) {
  if (as != DType::kE4M3) return ex.kernels.pack_matrix(ex, to, w, as);
  const index_t tiles = fp8_tiles(w.cols);
  Tensor codes(DType::kE4M3, w.rows, w.cols), blocks(DType::kF32, fp8_tiles(w.rows), tiles),
      scales(DType::kF32, w.rows, tiles);
  fp8_quantize_blocks(ex, {codes.view(), blocks.view().as<float>()}, w, 1, Scales::kF32);
  fp8_scales_of_rows(scales.view().as<float>(), blocks.view().as<float>());
  ex.kernels.pack_fp8_matrix(ex, to, {codes.view(), scales.view().as<float>()});
}

}  // namespace

index_t packed_bytes(const Exec& ex, DType as, index_t rows, index_t cols) {
  return (ex.kernels.packed_bytes(as, rows, cols) + 63) / 64 * 64;
}

void pack_matrix(Exec& ex, std::byte* to, ConstView w_FD, DType as) {
  check_packable(ex, w_FD, as);
  pack(ex, to, w_FD, as);
}

void pack_fp8_matrix(Exec& ex, std::byte* to, Fp8Const w_FD) {
  const ConstView codes = w_FD.codes;
  check_view("pack_fp8_matrix", "w", codes, codes.rows, codes.cols, {DType::kE4M3});
  HADAL_CHECK(w_FD.scales.rows == codes.rows && w_FD.scales.cols == fp8_tiles(codes.cols),
              "pack_fp8_matrix: scales are [", w_FD.scales.rows, ", ", w_FD.scales.cols, "], want [", codes.rows, ", ",
              fp8_tiles(codes.cols), "]");
  ex.kernels.pack_fp8_matrix(ex, to, w_FD);
}

PackedWeights pack_weights(Exec& ex, ConstView w_ExFD, index_t num_matrices, DType as) {
  check_packable(ex, w_ExFD, as);
  HADAL_CHECK(num_matrices > 0 && w_ExFD.rows % num_matrices == 0, "pack_weights: ", w_ExFD.rows, " rows are not ",
              num_matrices, " matrices");
  const index_t rows = w_ExFD.rows / num_matrices, bytes = packed_bytes(ex, as, rows, w_ExFD.cols);
  PackedWeights packed{.dtype = as,
                       .num_matrices = num_matrices,
                       .rows = rows,
                       .cols = w_ExFD.cols,
                       .table = &ex.kernels,
                       .matrices = {},
                       .data = Storage(bytes * num_matrices)};
  for (index_t e = 0; e < num_matrices; ++e) packed.matrices.push_back(packed.data.data() + e * bytes);
  ex.pool.parallel_for(num_matrices, [&](index_t e, int) {  // a single one is cut inside
    pack(ex, packed.data.data() + e * bytes, w_ExFD.slice_rows(e * rows, rows), as);
  });
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
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e)
    HADAL_CHECK(offsets[e] == offsets[e + 1] || w.matrices[e] != nullptr, "packed_gemm_nt: matrix ", e,
                " is not in memory");
  ex.kernels.packed_gemm_nt(ex, y_SF, x_SD, w, offsets, write);
}

}  // namespace hadal::kernels
