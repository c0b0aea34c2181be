#pragma once
// The FP8 recipe of the DeepSeek-V3 report (3.3): E4M3 operands, one scale for each 1x128 tile of activations and
// gradients and for each 128x128 block of weights, partial sums promoted to f32 every 128 along the reduced axis, where
// the scales are applied. A CPU stores FP8 and widens it exactly to bf16 inside the kernel.
#include "kernels/exec.h"

namespace hadal::kernels {

inline constexpr index_t kFp8Tile = 128;
constexpr index_t fp8_tiles(index_t n) {
  return (n + kFp8Tile - 1) / kFp8Tile;
}

enum class Scales : std::uint8_t { kF32, kPowerOfTwo };  // kPowerOfTwo: "ue8m0", 2^ceil(log2 s)

/// E4M3 codes with dequantisation scales: value = code * scale.
struct Fp8Const {
  ConstView codes;          // [R, K] kE4M3
  Mat<const float> scales;  // see the function that fills it
};
struct Fp8 {
  View codes;
  Mat<float> scales;
  operator Fp8Const() const { return {codes, scales}; }  // NOLINT(google-explicit-constructor)
};

/// One scale per row and 128 columns: scales [R, ceil(K/128)]. s = max(amax, 1e-4) / 448; code = e4m3(x / s).
void fp8_quantize_rows(Exec& ex, Fp8 q, ConstView x, Scales kind);
/// One scale per column and 128 rows ("128x1"): scales [tiles, K]. With `offsets` (E + 1, rows sorted by expert) tiles
/// start anew at each expert: expert e owns tiles [fp8_column_tiles(offsets, e), ...). Without (empty): ceil(R/128)
/// tiles.
void fp8_quantize_columns(Exec& ex, Fp8 q, ConstView x, std::span<const index_t> offsets, Scales kind);
/// Tiles before expert e; e = E gives their number.
index_t fp8_column_tiles(std::span<const index_t> offsets, index_t e);
/// One scale per 128x128 block: scales [ceil(R/128), ceil(K/128)]. With E > 1 stacked matrices of R/E rows each, blocks
/// start anew at each matrix: scales [E * ceil(R/E/128), ceil(K/128)].
void fp8_quantize_blocks(Exec& ex, Fp8 q, ConstView w, index_t num_matrices, Scales kind);
/// The scales of blocks of one matrix [ceil(R/128), tiles] as scales of its rows [R, tiles].
void fp8_scales_of_rows(Mat<float> rows, Mat<const float> blocks);
/// y = codes * scales, by rows and by blocks.
void fp8_dequantize_rows(Exec& ex, View y, Fp8Const q);
void fp8_dequantize_blocks(Exec& ex, View y, Fp8Const q, index_t num_matrices);

/// y_TF (write) x_TD w_FD^T: x by rows, w by blocks. y: f32 or bf16. One matrix: offsets empty. Else grouped as in
/// gemm.h.
void fp8_gemm_nt(Exec& ex, View y_TF, Fp8Const x_TD, Fp8Const w_FD, std::span<const index_t> offsets,
                 Write write = Write::kAssign);
/// dx_TD (write) dy_TF w_FD: dy by rows, w by blocks.
void fp8_gemm_nn(Exec& ex, View dx_TD, Fp8Const dy_TF, Fp8Const w_FD, std::span<const index_t> offsets,
                 Write write = Write::kAssign);
/// dw_FD (write) dy_TF^T x_TD: both by columns (tiles of 128 tokens). dw is f32.
void fp8_gemm_tn(Exec& ex, View dw_FD, Fp8Const dy_TF, Fp8Const x_TD, std::span<const index_t> offsets,
                 Write write = Write::kAdd);

}  // namespace hadal::kernels
