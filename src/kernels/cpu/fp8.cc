#include "kernels/fp8.h"

#include <algorithm>
#include <bit>
#include <span>
#include <vector>

#include "kernels/cpu/intrinsics.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/small_floats.h"

namespace {

/// max(|x[i]|, amax[i]); NaN counts as nothing.
HADAL_INLINE Vec larger(Vec x, Vec amax) {
  return max(abs(x), amax);
}

float scale_of(float amax, Scales kind) {
  const float scale = std::max(amax, 1e-4F) / 448.0F;
  return kind == Scales::kPowerOfTwo ? to_f32(to_ue8m0_ceil(scale)) : scale;
}

template <class T>
float amax_of(const T* x, index_t n) {
  Vec amax{};
  index_t i = 0;
  for (; i + kLanes <= n; i += kLanes) amax = larger(load(x + i), amax);
  if (i < n) amax = larger(load_first(x + i, n - i), amax);
  return max_of(amax);
}

/// q = e4m3(x / scale)
template <class T>
void encode_row(e4m3* q, const T* x, index_t n, float scale) {
  const Vec divisor = splat(scale);
  index_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(q + i, load(x + i) / divisor);
  if (i < n) store_first(q + i, load_first(x + i, n - i) / divisor, n - i);
}

/// Rows [first, end) of the columns [column, column + n): one scale per column, to `scales`.
template <class T>
void encode_columns(Mat<e4m3> q, Mat<const T> x, index_t first, index_t end, index_t column, index_t n, float* scales,
                    Scales kind) {
  for (index_t c = column; c < column + n; c += kLanes) {
    const index_t lanes = std::min<index_t>(kLanes, column + n - c);
    const auto load_row = [&](index_t r) {
      const T* p = x.data + r * x.stride + c;
      return lanes == kLanes ? load(p) : load_first(p, lanes);
    };
    Vec amax{};
    for (index_t r = first; r < end; ++r) amax = larger(load_row(r), amax);
    float scale[kLanes];
    store(scale, amax);
    for (index_t i = 0; i < kLanes; ++i) scale[i] = scale_of(scale[i], kind);
    for (index_t i = 0; i < lanes; ++i) scales[c + i] = scale[i];
    const Vec divisor = load(scale);
    for (index_t r = first; r < end; ++r) {
      e4m3* to = q.data + r * q.stride + c;
      const Vec scaled = load_row(r) / divisor;
      if (lanes == kLanes) {
        store(to, scaled);
      } else {
        store_first(to, scaled, lanes);
      }
    }
  }
}

template <class T>
void quantize_rows(Exec& ex, Fp8 q, Mat<const T> x, Scales kind) {
  const Mat<e4m3> codes = q.codes.as<e4m3>();
  constexpr index_t kRows = 16;
  ex.pool.parallel_for((x.rows + kRows - 1) / kRows, [&](index_t task, int) {
    for (index_t r = task * kRows; r < std::min(x.rows, (task + 1) * kRows); ++r)
      for (index_t c = 0; c < x.cols; c += kFp8Tile) {
        const T* from = x.data + r * x.stride + c;
        const index_t n = std::min(kFp8Tile, x.cols - c);
        const float scale = scale_of(amax_of(from, n), kind);
        q.scales.data[r * q.scales.stride + c / kFp8Tile] = scale;
        encode_row(codes.data + r * codes.stride + c, from, n, scale);
      }
  });
}

template <class T>
void quantize_columns(Exec& ex, Fp8 q, Mat<const T> x, std::span<const index_t> offsets, Scales kind) {
  struct Tile {
    index_t first, end;
  };
  std::vector<Tile> tiles;
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e)
    for (index_t r = offsets[e]; r < offsets[e + 1]; r += kFp8Tile)
      tiles.push_back({r, std::min(offsets[e + 1], r + kFp8Tile)});
  constexpr index_t kColumns = 128;
  const index_t parts = (x.cols + kColumns - 1) / kColumns;
  ex.pool.parallel_for(static_cast<index_t>(tiles.size()) * parts, [&](index_t task, int) {
    const Tile tile = tiles[static_cast<std::size_t>(task / parts)];
    const index_t column = task % parts * kColumns;
    encode_columns(q.codes.as<e4m3>(), x, tile.first, tile.end, column, std::min(kColumns, x.cols - column),
                   q.scales.data + task / parts * q.scales.stride, kind);
  });
}

template <class T>
void quantize_blocks(Exec& ex, Fp8 q, Mat<const T> w, index_t num_matrices, Scales kind) {
  const Mat<e4m3> codes = q.codes.as<e4m3>();
  const index_t rows = w.rows / num_matrices, blocks = (rows + kFp8Tile - 1) / kFp8Tile;
  ex.pool.parallel_for(num_matrices * blocks, [&](index_t task, int) {
    const index_t first = task / blocks * rows + task % blocks * kFp8Tile;
    const index_t end = std::min(first + kFp8Tile, (task / blocks + 1) * rows);
    for (index_t c = 0; c < w.cols; c += kFp8Tile) {
      const index_t n = std::min(kFp8Tile, w.cols - c);
      float amax = 0;
      for (index_t r = first; r < end; ++r) amax = std::max(amax, amax_of(w.data + r * w.stride + c, n));
      const float scale = scale_of(amax, kind);
      q.scales.data[task * q.scales.stride + c / kFp8Tile] = scale;
      for (index_t r = first; r < end; ++r)
        encode_row(codes.data + r * codes.stride + c, w.data + r * w.stride + c, n, scale);
    }
  });
}

}  // namespace

void fp8_quantize_rows(Exec& ex, Fp8 q, ConstView x, Scales kind) {
  if (x.dtype == DType::kF32) {
    quantize_rows(ex, q, x.as<float>(), kind);
  } else {
    quantize_rows(ex, q, x.as<bf16>(), kind);
  }
}

void fp8_quantize_columns(Exec& ex, Fp8 q, ConstView x, std::span<const index_t> offsets, Scales kind) {
  if (x.dtype == DType::kF32) {
    quantize_columns(ex, q, x.as<float>(), offsets, kind);
  } else {
    quantize_columns(ex, q, x.as<bf16>(), offsets, kind);
  }
}

void fp8_quantize_blocks(Exec& ex, Fp8 q, ConstView w, index_t num_matrices, Scales kind) {
  if (w.dtype == DType::kF32) {
    quantize_blocks(ex, q, w.as<float>(), num_matrices, kind);
  } else {
    quantize_blocks(ex, q, w.as<bf16>(), num_matrices, kind);
  }
}

#include "kernels/cpu/isa_end.h"
