#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/fp8.h"

#include "kernels/table.h"

namespace hadal::kernels {

index_t fp8_column_tiles(std::span<const index_t> offsets, index_t e) {
  index_t tiles = 0;
  for (index_t i = 0; i < e; ++i)
    tiles += (offsets[static_cast<std::size_t>(i) + 1] - offsets[static_cast<std::size_t>(i)] + kFp8Tile - 1) / kFp8Tile;
  return tiles;
}

void fp8_quantize_rows(Exec& ex, Fp8 q, ConstView x, Scales kind) { ex.kernels.fp8_quantize_rows(ex, q, x, kind); }
void fp8_quantize_columns(Exec& ex, Fp8 q, ConstView x, std::span<const index_t> offsets, Scales kind) { ex.kernels.fp8_quantize_columns(ex, q, x, offsets, kind); }
void fp8_quantize_blocks(Exec& ex, Fp8 q, ConstView w, index_t num_matrices, Scales kind) { ex.kernels.fp8_quantize_blocks(ex, q, w, num_matrices, kind); }
void fp8_dequantize_rows(Exec& ex, View y, Fp8Const q) { fail("kernels: fp8_dequantize_rows is not there yet"); }
void fp8_dequantize_blocks(Exec& ex, View y, Fp8Const q, index_t num_matrices) { fail("kernels: fp8_dequantize_blocks is not there yet"); }
void fp8_gemm_nt(Exec& ex, View y_TF, Fp8Const x_TD, Fp8Const w_FD, std::span<const index_t> offsets, Write write) { ex.kernels.fp8_gemm_nt(ex, y_TF, x_TD, w_FD, offsets, write); }
void fp8_gemm_nn(Exec& ex, View dx_TD, Fp8Const dy_TF, Fp8Const w_FD, std::span<const index_t> offsets, Write write) { ex.kernels.fp8_gemm_nn(ex, dx_TD, dy_TF, w_FD, offsets, write); }
void fp8_gemm_tn(Exec& ex, View dw_FD, Fp8Const dy_TF, Fp8Const x_TD, std::span<const index_t> offsets, Write write) { ex.kernels.fp8_gemm_tn(ex, dw_FD, dy_TF, x_TD, offsets, write); }

}  // namespace hadal::kernels
