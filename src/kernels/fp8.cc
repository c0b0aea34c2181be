#include "kernels/fp8.h"

#include <algorithm>
#include <array>

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check(const char* name, const char* what, Fp8Const q, index_t rows, index_t cols, index_t scale_rows,
           index_t scale_cols) {
  check_view(name, what, q.codes, rows, cols, {DType::kE4M3});
  HADAL_CHECK(q.scales.rows == scale_rows && q.scales.cols == scale_cols && q.scales.stride >= scale_cols, name,
              ": scales of ", what, " are [", q.scales.rows, ", ", q.scales.cols, "], want [", scale_rows, ", ",
              scale_cols, "]");
}

void check_float(const char* name, const char* what, ConstView v, index_t rows, index_t cols) {
  check_view(name, what, v, rows, cols, {DType::kF32, DType::kBF16});
}

void check_blocks(const char* name, Fp8Const w, index_t num_matrices, index_t rows, index_t cols) {
  HADAL_CHECK(num_matrices > 0, name, ": ", num_matrices, " matrices");
  check(name, "w", w, num_matrices * rows, cols, num_matrices * fp8_tiles(rows), fp8_tiles(cols));
}

/// y = codes * scale_of(row, column tile).
template <class ScaleOf>
void dequantize(Exec& ex, View y, ConstView codes, ScaleOf scale_of) {
  std::array<float, 256> value{};
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = to_f32(e4m3{static_cast<std::uint8_t>(i)});
  ex.pool.parallel_for(codes.rows, [&](index_t r, int) {
    const std::span<const e4m3> code = codes.as<e4m3>().row(r);
    for (index_t c = 0; c < codes.cols; ++c) {
      const float v = value[code[static_cast<std::size_t>(c)].bits] * scale_of(r, c / kFp8Tile);
      if (y.dtype == DType::kF32)
        y.as<float>()(r, c) = v;
      else
        y.as<bf16>()(r, c) = to_bf16(v);
    }
  });
}

}  // namespace

index_t fp8_column_tiles(std::span<const index_t> offsets, index_t e) {
  index_t tiles = 0;
  for (index_t i = 0; i < e; ++i)
    tiles += fp8_tiles(offsets[static_cast<std::size_t>(i) + 1] - offsets[static_cast<std::size_t>(i)]);
  return tiles;
}

void fp8_quantize_rows(Exec& ex, Fp8 q, ConstView x, Scales kind) {
  check_float("fp8_quantize_rows", "x", x, x.rows, x.cols);
  check("fp8_quantize_rows", "q", q, x.rows, x.cols, x.rows, fp8_tiles(x.cols));
  ex.kernels.fp8_quantize_rows(ex, q, x, kind);
}

void fp8_quantize_columns(Exec& ex, Fp8 q, ConstView x, std::span<const index_t> offsets, Scales kind) {
  const std::array<index_t, 2> one = {0, x.rows};
  if (offsets.empty()) offsets = one;
  const index_t num_experts = check_offsets("fp8_quantize_columns", offsets, x.rows);
  check_float("fp8_quantize_columns", "x", x, x.rows, x.cols);
  check("fp8_quantize_columns", "q", q, x.rows, x.cols, fp8_column_tiles(offsets, num_experts), x.cols);
  ex.kernels.fp8_quantize_columns(ex, q, x, offsets, kind);
}

void fp8_quantize_blocks(Exec& ex, Fp8 q, ConstView w, index_t num_matrices, Scales kind) {
  HADAL_CHECK(num_matrices > 0 && w.rows % num_matrices == 0, "fp8_quantize_blocks: ", w.rows,
              " rows do not divide into ", num_matrices, " matrices");
  check_float("fp8_quantize_blocks", "w", w, w.rows, w.cols);
  check_blocks("fp8_quantize_blocks", q, num_matrices, w.rows / num_matrices, w.cols);
  ex.kernels.fp8_quantize_blocks(ex, q, w, num_matrices, kind);
}

void fp8_scales_of_rows(Mat<float> rows, Mat<const float> blocks) {
  HADAL_CHECK(blocks.rows == fp8_tiles(rows.rows) && blocks.cols == rows.cols, "fp8_scales_of_rows: [", blocks.rows,
              ", ", blocks.cols, "] scales for [", rows.rows, ", ", rows.cols, "]");
  for (index_t r = 0; r < rows.rows; ++r) std::ranges::copy(blocks.row(r / kFp8Tile), rows.row(r).begin());
}

void fp8_dequantize_rows(Exec& ex, View y, Fp8Const q) {
  check_float("fp8_dequantize_rows", "y", y, q.codes.rows, q.codes.cols);
  check("fp8_dequantize_rows", "q", q, y.rows, y.cols, y.rows, fp8_tiles(y.cols));
  dequantize(ex, y, q.codes, [&](index_t r, index_t tile) { return q.scales(r, tile); });
}

void fp8_dequantize_blocks(Exec& ex, View y, Fp8Const q, index_t num_matrices) {
  HADAL_CHECK(num_matrices > 0 && y.rows % num_matrices == 0, "fp8_dequantize_blocks: ", y.rows,
              " rows do not divide into ", num_matrices, " matrices");
  const index_t rows = y.rows / num_matrices;
  check_float("fp8_dequantize_blocks", "y", y, q.codes.rows, q.codes.cols);
  check_blocks("fp8_dequantize_blocks", q, num_matrices, rows, y.cols);
  dequantize(ex, y, q.codes,
             [&](index_t r, index_t tile) { return q.scales(r / rows * fp8_tiles(rows) + r % rows / kFp8Tile, tile); });
}

void fp8_gemm_nt(Exec& ex, View y_TF, Fp8Const x_TD, Fp8Const w_FD, std::span<const index_t> offsets, Write write) {
  const index_t tokens = x_TD.codes.rows, in = x_TD.codes.cols, out = y_TF.cols;
  const std::array<index_t, 2> one = {0, tokens};
  if (offsets.empty()) offsets = one;
  const index_t num_experts = check_offsets("fp8_gemm_nt", offsets, tokens);
  check_float("fp8_gemm_nt", "y", y_TF, tokens, out);
  check("fp8_gemm_nt", "x", x_TD, tokens, in, tokens, fp8_tiles(in));
  check_blocks("fp8_gemm_nt", w_FD, num_experts, out, in);
  ex.kernels.fp8_gemm_nt(ex, y_TF, x_TD, w_FD, offsets, write);
}

void fp8_gemm_nn(Exec& ex, View dx_TD, Fp8Const dy_TF, Fp8Const w_FD, std::span<const index_t> offsets, Write write) {
  const index_t tokens = dy_TF.codes.rows, out = dy_TF.codes.cols, in = dx_TD.cols;
  const std::array<index_t, 2> one = {0, tokens};
  if (offsets.empty()) offsets = one;
  const index_t num_experts = check_offsets("fp8_gemm_nn", offsets, tokens);
  check_float("fp8_gemm_nn", "dx", dx_TD, tokens, in);
  check("fp8_gemm_nn", "dy", dy_TF, tokens, out, tokens, fp8_tiles(out));
  check_blocks("fp8_gemm_nn", w_FD, num_experts, out, in);
  ex.kernels.fp8_gemm_nn(ex, dx_TD, dy_TF, w_FD, offsets, write);
}

void fp8_gemm_tn(Exec& ex, View dw_FD, Fp8Const dy_TF, Fp8Const x_TD, std::span<const index_t> offsets, Write write) {
  const index_t tokens = dy_TF.codes.rows, out = dy_TF.codes.cols, in = x_TD.codes.cols;
  const std::array<index_t, 2> one = {0, tokens};
  if (offsets.empty()) offsets = one;
  const index_t num_experts = check_offsets("fp8_gemm_tn", offsets, tokens);
  const index_t num_tiles = fp8_column_tiles(offsets, num_experts);
  check_view("fp8_gemm_tn", "dw", dw_FD, num_experts * out, in, {DType::kF32});
  check("fp8_gemm_tn", "dy", dy_TF, tokens, out, num_tiles, out);
  check("fp8_gemm_tn", "x", x_TD, tokens, in, num_tiles, in);
  ex.kernels.fp8_gemm_tn(ex, dw_FD, dy_TF, x_TD, offsets, write);
}

}  // namespace hadal::kernels
