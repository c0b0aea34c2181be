// x W^T where W is held as E4M3 codes. For each panel of columns and each kFp8Tile values of the reduced axis the codes
// are widened into a panel in the first cache, which all rows of the task are multiplied with; the sums are scaled and
// added up in f32 in the order of the tiles, so a row's result does not depend on the rows beside it.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/cpu/intrinsics.h"
#include "kernels/packed_gemm.h"

#include "kernels/cpu/isa_begin.h"

#include "kernels/cpu/gemm_pack.h"

#include "kernels/cpu/gemm_streams.h"

namespace {

// A matrix is its panels, a panel its tiles of kFp8Tile values: the codes, then the scales of the columns in f32.
constexpr index_t kCodeBytes = kFp8Tile * kPanel;
constexpr index_t kTileBytes = kCodeBytes + kPanel * 4;

index_t panel_bytes(index_t cols) {
  return std::max<index_t>(1, fp8_tiles(cols)) * kTileBytes;
}

#if defined(HADAL_ISA_IS_avx512)
/// Four values of 16 columns are a vector. Its quarters hold four columns each: the first two values of every column,
/// then the other two. So joining low and high bytes gives the words of two steps of vdpbf16ps.
index_t code_place(index_t k, index_t column) {
  return (k / 4 * kPanelVecs + column / 16) * 64 + column % 16 / 4 * 16 + k % 4 / 2 * 8 + column % 4 * 2 + k % 2;
}

/// One byte of the bf16 of each magnitude.
constexpr std::array<std::uint8_t, 128> bytes_of_bf16(int shift) {
  constexpr std::uint16_t kSubnormal[] = {0, 0x3B00, 0x3B80, 0x3BC0, 0x3C00, 0x3C20, 0x3C40, 0x3C60};  // n * 2^-9
  std::array<std::uint8_t, 128> bytes{};
  for (std::uint32_t m = 0; m < 128; ++m) {
    const std::uint32_t bits = m < 8 ? kSubnormal[m] : m == 127 ? 0x7FC0U : (m << 4) + (120U << 7);
    bytes[m] = static_cast<std::uint8_t>(bits >> shift);
  }
  return bytes;
}
constexpr std::array<std::uint8_t, 128> kLowBytes = bytes_of_bf16(0), kHighBytes = bytes_of_bf16(8);

/// The codes of a tile as words of T: a panel as multiply_tile reads it.
template <class T>
void widen_tile(std::byte* panel, const std::byte* codes) {
  const __m512i low0 = _mm512_loadu_si512(kLowBytes.data()), low1 = _mm512_loadu_si512(kLowBytes.data() + 64),
                high0 = _mm512_loadu_si512(kHighBytes.data()), high1 = _mm512_loadu_si512(kHighBytes.data() + 64),
                sign = _mm512_set1_epi8(static_cast<char>(0x80));
  constexpr int kSignOrHigh = 0xEA;  // (code & sign) | high
  for (index_t k = 0; k < kFp8Tile; k += 4)
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVecs; ++v) {
      const std::byte* from = codes + (k / 4 * kPanelVecs + v) * 64;
      __builtin_prefetch(from + kTileBytes);
      const __m512i code = _mm512_loadu_si512(from);
      const __m512i low = _mm512_permutex2var_epi8(low0, code, low1);
      const __m512i high =
          _mm512_ternarylogic_epi32(code, sign, _mm512_permutex2var_epi8(high0, code, high1), kSignOrHigh);
      const __m512i pairs[2] = {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        if constexpr (std::is_same_v<Word<T>, Bf16Pair>) {
          _mm512_storeu_si512(panel + ((k / 2 + i) * kPanelVecs + v) * 64, pairs[i]);
        } else {
          std::byte* to = panel + ((k + 2 * i) * kPanelVecs + v) * 64;
          _mm512_storeu_si512(to, _mm512_slli_epi32(pairs[i], 16));
          _mm512_storeu_si512(to + kPanelVecs * 64, _mm512_and_si512(pairs[i], _mm512_set1_epi32(-65536)));
        }
      }
    }
}
#else
index_t code_place(index_t k, index_t column) {
  return k * kPanel + column;
}

template <class T>
void widen_tile(std::byte* panel, const std::byte* codes) {
  const auto* from = reinterpret_cast<const e4m3*>(codes);
  for (index_t i = 0; i < kFp8Tile * kPanel; i += kLanes) store(reinterpret_cast<float*>(panel) + i, load(from + i));
}
#endif

void pack_tile(std::byte* to, Mat<const e4m3> codes, Mat<const float> scales, index_t tile) {
  std::memset(to, 0, kTileBytes);
  const index_t first = tile * kFp8Tile, count = std::min(kFp8Tile, codes.cols - first);
  for (index_t c = 0; c < codes.rows; ++c) {
    for (index_t k = 0; k < count; ++k) std::memcpy(to + code_place(k, c), &codes(c, first + k), 1);
    if (count > 0) std::memcpy(to + kCodeBytes + c * 4, &scales(c, tile), 4);
  }
}

/// Rows of x as multiply_tile reads them: where they are, unless they must be widened or an odd value filled up.
struct LeftRows {
  const std::byte* data = nullptr;
  index_t stride = 0;  // bytes
};
template <class T>
LeftRows left_rows(Exec& ex, Mat<const T> x) {
  if (kAsStored<T> && x.cols % kValues<T> == 0)
    return {reinterpret_cast<const std::byte*>(x.data), x.stride * static_cast<index_t>(sizeof(T))};
  const index_t words = words_of<T>(x.cols), stride = (divide_up(words, 16) | 1) * 64;
  std::byte* memory = ex.scratch(-1, x.rows * stride);
  for (index_t r = 0; r < x.rows; ++r) widen_row(memory + r * stride, x.data + r * x.stride, x.cols, words);
  return {memory, stride};
}

/// Rows that share a widened tile, and whose sums stay in the second cache.
constexpr index_t kChunk = 256;

template <class T>
void multiply(Exec& ex, View y, Mat<const T> x, const PackedWeights& w, std::span<const index_t> offsets, Write write) {
  const index_t origin = offsets.front(), num_rows = offsets.back() - origin;
  if (num_rows == 0 || w.rows == 0) return;
  const LeftRows left = left_rows(ex, Mat<const T>{x.data + origin * x.stride, num_rows, x.cols, x.stride});
  std::vector<GroupShape> shapes;
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) shapes.push_back({offsets[e + 1] - offsets[e], w.cols});
  const index_t tiles = std::max<index_t>(1, fp8_tiles(w.cols)), element = y.dtype == DType::kBF16 ? 2 : 4;
  const bool bf16_out = y.dtype == DType::kBF16, add = write == Write::kAdd;
  constexpr index_t kWideBytes = kFp8Tile / kValues<T> * kPanel * 4;
  static constexpr float kOne = 1;

  const WeightStream weights{w.matrices, divide_up(w.rows, kPanel), panel_bytes(w.cols)};
  for_tasks(ex, shapes, w.rows, kFp8Tile, weights, kPanel, [&](const Task& task, int worker) {
    std::byte* wide = ex.scratch(worker, kWideBytes + kChunk * kPanel * 4);
    auto* sums = reinterpret_cast<float*>(wide + kWideBytes);  // of the tiles so far, where the output is bf16
    const std::byte* matrix = w.matrices[static_cast<std::size_t>(task.group)];
    const index_t row0 = offsets[static_cast<std::size_t>(task.group)] + task.row;
    Tile t;
    t.a_stride = left.stride;
    t.b = wide;
    t.row_scale = &kOne;
    for (index_t c = task.column; c < task.column + task.columns; c += kPanel) {
      t.columns = std::min<index_t>(kPanel, task.column + task.columns - c);
      for (index_t chunk = 0; chunk < task.rows; chunk += kChunk) {
        const EvenSplit parts(std::min(kChunk, task.rows - chunk), kStrip, 1);
        for (index_t tile = 0; tile < tiles; ++tile) {
          const std::byte* codes = matrix + c / kPanel * panel_bytes(w.cols) + tile * kTileBytes;
          const bool first = tile == 0, last = tile + 1 == tiles, to_sums = bf16_out && !last;
          widen_tile<T>(wide, codes);
          t.column_scale = reinterpret_cast<const float*>(codes + kCodeBytes);
          t.words = words_of<T>(std::min(kFp8Tile, w.cols - tile * kFp8Tile));
          t.bf16_out = bf16_out && last, t.bf16_add = t.bf16_out && add;
          for (index_t part = 0; part < parts.parts; ++part) {
            const index_t r = parts.first(part), row = row0 + chunk + r;
            t.a = t.next_a = left.data + (row - origin) * left.stride + tile * kFp8Tile / kValues<T> * 4;
            float* sum = sums + r * kPanel;
            t.out = to_sums ? static_cast<void*>(sum) : y.data + (row * y.stride + c) * element;
            t.out_stride = to_sums ? kPanel : y.stride;
            t.before = bf16_out ? (first ? nullptr : sum) : first && !add ? nullptr : static_cast<float*>(t.out);
            t.before_stride = bf16_out ? kPanel : y.stride;
            tile_function<Word<T>, false, true>(parts.size(part), kPanelVecs)(t);
          }
        }
      }
    }
  });
}

}  // namespace

index_t packed_fp8_bytes(index_t rows, index_t cols) {
  return divide_up(rows, kPanel) * panel_bytes(cols);
}

void pack_fp8_matrix(Exec& ex, std::byte* to, Fp8Const w) {
  const index_t bytes = panel_bytes(w.codes.cols);
  ex.pool.parallel_for(divide_up(w.codes.rows, kPanel), [&](index_t p, int) {
    const index_t first = p * kPanel, count = std::min<index_t>(kPanel, w.codes.rows - first);
    for (index_t tile = 0; tile < bytes / kTileBytes; ++tile)
      pack_tile(to + p * bytes + tile * kTileBytes, w.codes.slice_rows(first, count).as<e4m3>(),
                {w.scales.data + first * w.scales.stride, count, w.scales.cols, w.scales.stride}, tile);
  });
}

void packed_fp8_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                        Write write) {
  if (x_SD.dtype == DType::kF32)
    multiply(ex, y_SF, x_SD.as<float>(), w, offsets, write);
  else
    multiply(ex, y_SF, x_SD.as<bf16>(), w, offsets, write);
}

#include "kernels/cpu/isa_end.h"
