// FP8 in plain loops: each 128 of the reduced axis is summed, multiplied by its scales, and added up in double.
#include <algorithm>
#include <cmath>

#include "kernels/ref/values.h"
#include "kernels/table.h"

namespace hadal::kernels::ref {
namespace {

index_t tiles_of(index_t n) {
  return (n + kFp8Tile - 1) / kFp8Tile;
}

/// Quantises rows [r0, r1) x columns [c0, c1) with one scale, which is returned.
float quantize_tile(View codes, ConstView x, index_t r0, index_t r1, index_t c0, index_t c1, Scales kind) {
  float amax = 0;
  for (index_t r = r0; r < r1; ++r)
    for (index_t c = c0; c < c1; ++c) amax = std::fmax(amax, std::fabs(static_cast<float>(value(x, r, c))));
  float scale = std::max(amax, 1e-4F) / 448.0F;
  if (kind == Scales::kPowerOfTwo) scale = to_f32(to_ue8m0_ceil(scale));
  for (index_t r = r0; r < r1; ++r)
    for (index_t c = c0; c < c1; ++c) codes.as<e4m3>()(r, c) = to_e4m3(static_cast<float>(value(x, r, c)) / scale);
  return scale;
}

}  // namespace

void fp8_quantize_rows(Exec& ex, Fp8 q, ConstView x, Scales kind) {
  ex.pool.parallel_for(x.rows, [&](index_t r, int) {
    for (index_t t = 0; t < tiles_of(x.cols); ++t)
      q.scales(r, t) = quantize_tile(q.codes, x, r, r + 1, t * kFp8Tile, std::min(x.cols, (t + 1) * kFp8Tile), kind);
  });
}

void fp8_quantize_columns(Exec& ex, Fp8 q, ConstView x, std::span<const index_t> offsets, Scales kind) {
  ex.pool.parallel_for(static_cast<index_t>(offsets.size()) - 1, [&](index_t e, int) {
    index_t tile = fp8_column_tiles(offsets, e);
    const index_t end = offsets[static_cast<std::size_t>(e) + 1];
    for (index_t r = offsets[static_cast<std::size_t>(e)]; r < end; r += kFp8Tile, ++tile)
      for (index_t c = 0; c < x.cols; ++c)
        q.scales(tile, c) = quantize_tile(q.codes, x, r, std::min(end, r + kFp8Tile), c, c + 1, kind);
  });
}

void fp8_quantize_blocks(Exec& ex, Fp8 q, ConstView w, index_t num_matrices, Scales kind) {
  const index_t rows = w.rows / num_matrices;
  ex.pool.parallel_for(num_matrices, [&](index_t e, int) {
    for (index_t i = 0; i < tiles_of(rows); ++i)
      for (index_t j = 0; j < tiles_of(w.cols); ++j)
        q.scales(e * tiles_of(rows) + i, j) =
            quantize_tile(q.codes, w, e * rows + i * kFp8Tile, e * rows + std::min(rows, (i + 1) * kFp8Tile),
                          j * kFp8Tile, std::min(w.cols, (j + 1) * kFp8Tile), kind);
  });
}

void fp8_gemm_nt(Exec& ex, View y_TF, Fp8Const x_TD, Fp8Const w_FD, std::span<const index_t> offsets, Write write) {
  const index_t in = x_TD.codes.cols, out = y_TF.cols;
  const std::vector<double> x = values(x_TD.codes), w = values(w_FD.codes);
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const index_t first_row = static_cast<index_t>(e) * out, first_block = static_cast<index_t>(e) * tiles_of(out);
    ex.pool.parallel_for(offsets[e + 1] - offsets[e], [&](index_t task, int) {
      const index_t t = offsets[e] + task;
      for (index_t f = 0; f < out; ++f) {
        double sum = 0;
        for (index_t tile = 0; tile < tiles_of(in); ++tile) {
          double part = 0;
          for (index_t d = tile * kFp8Tile; d < std::min(in, (tile + 1) * kFp8Tile); ++d)
            part += x[static_cast<std::size_t>(t * in + d)] * w[static_cast<std::size_t>((first_row + f) * in + d)];
          sum += part * x_TD.scales(t, tile) * w_FD.scales(first_block + f / kFp8Tile, tile);
        }
        write_value(y_TF, t, f, sum, write);
      }
    });
  }
}

void fp8_gemm_nn(Exec& ex, View dx_TD, Fp8Const dy_TF, Fp8Const w_FD, std::span<const index_t> offsets, Write write) {
  const index_t in = dx_TD.cols, out = dy_TF.codes.cols;
  const std::vector<double> dy = values(dy_TF.codes), w = values(w_FD.codes);
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const index_t first_row = static_cast<index_t>(e) * out, first_block = static_cast<index_t>(e) * tiles_of(out);
    ex.pool.parallel_for(offsets[e + 1] - offsets[e], [&](index_t task, int) {
      const index_t t = offsets[e] + task;
      for (index_t d = 0; d < in; ++d) {
        double sum = 0;
        for (index_t tile = 0; tile < tiles_of(out); ++tile) {
          double part = 0;
          for (index_t f = tile * kFp8Tile; f < std::min(out, (tile + 1) * kFp8Tile); ++f)
            part += dy[static_cast<std::size_t>(t * out + f)] * w[static_cast<std::size_t>((first_row + f) * in + d)];
          sum += part * dy_TF.scales(t, tile) * w_FD.scales(first_block + tile, d / kFp8Tile);
        }
        write_value(dx_TD, t, d, sum, write);
      }
    });
  }
}

void fp8_gemm_tn(Exec& ex, View dw_FD, Fp8Const dy_TF, Fp8Const x_TD, std::span<const index_t> offsets, Write write) {
  const index_t in = x_TD.codes.cols, out = dy_TF.codes.cols;
  const std::vector<double> dy = values(dy_TF.codes), x = values(x_TD.codes);
  ex.pool.parallel_for(dw_FD.rows, [&](index_t row, int) {
    const index_t e = row / out, f = row % out;
    const index_t end = offsets[static_cast<std::size_t>(e) + 1];
    for (index_t d = 0; d < in; ++d) {
      double sum = 0;
      index_t tile = fp8_column_tiles(offsets, e);
      for (index_t first = offsets[static_cast<std::size_t>(e)]; first < end; first += kFp8Tile, ++tile) {
        double part = 0;
        for (index_t t = first; t < std::min(end, first + kFp8Tile); ++t)
          part += dy[static_cast<std::size_t>(t * out + f)] * x[static_cast<std::size_t>(t * in + d)];
        sum += part * dy_TF.scales(tile, f) * x_TD.scales(tile, d);
      }
      write_value(dw_FD, row, d, sum, write);
    }
  });
}

}  // namespace hadal::kernels::ref
