// The innermost product: a tile of a few rows x a few vectors of the output, held in registers over one block of the
// reduced axis. Include inside a target region, after vec.h.
//
// The reduced axis is counted in words of 32 bits: one f32, or on AVX-512 a pair of bf16 (vdpbf16ps). Each output is
// one chain of multiply-adds over the words of a block, in order, whatever the shape of the tile: so a row of a product
// does not change a bit with the number of rows beside it or with the split of work.
#ifndef HADAL_KERNELS_CPU_GEMM_TILE_H_
#define HADAL_KERNELS_CPU_GEMM_TILE_H_

/// Two consecutive values of the reduced axis, the first in the low half.
struct Bf16Pair {
  std::uint32_t bits;
};

inline constexpr int kPanelVecs = kLanes == 16 ? 4 : 2;
/// Columns of a packed panel of the right operand.
inline constexpr int kPanel = kPanelVecs * kLanes;
/// Rows of a packed strip of the left operand.
inline constexpr int kStrip = 6;

/// The rows of a full tile: as many as registers hold beside the vectors of the right operand.
constexpr int tile_rows(int vecs) {
  return kLanes == 16 && vecs <= 2 ? 12 : kStrip;
}

template <class Word>
HADAL_INLINE Vec broadcast_word(const std::byte* p) {
#if defined(HADAL_ISA_IS_avx512)
  int bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return reinterpret_cast<Vec>(_mm512_set1_epi32(bits));
#else
  float v;
  __builtin_memcpy(&v, p, sizeof v);
  Vec all;
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) all[i] = v;
  return all;
#endif
}

template <class Word>
HADAL_INLINE Vec dot(Vec a, Vec b, Vec sum) {
#if defined(HADAL_ISA_IS_avx512)
  if constexpr (std::is_same_v<Word, Bf16Pair>)
    return reinterpret_cast<Vec>(
        _mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
#endif
  return fma(a, b, sum);
}

struct Tile {
  const std::byte* a = nullptr;  // rows of words, or packed strips
  index_t a_stride = 0;          // bytes between rows, or between strips
  const std::byte* b = nullptr;  // packed panel: [words][vectors of the tile]
  index_t words = 0;
  const std::byte* next_a = nullptr;  // rows that will be multiplied soon, laid out as `a`: fetched into the cache

  // out = [out, when bf16_add +] [before +] sum [* row_scale[r] * column_scale[c]]
  void* out = nullptr;
  index_t out_stride = 0;  // elements
  index_t columns = 0;     // the last vector may be cut
  bool bf16_out = false, bf16_add = false;
  const float* before = nullptr;  // none: nullptr
  index_t before_stride = 0;
  const float* row_scale = nullptr;  // none: nullptr
  index_t row_scale_stride = 0;
  const float* column_scale = nullptr;  // a whole panel
};

/// Rounds to bf16 with one instruction where there is one; unlike store() it flushes denormals, as the products do.
HADAL_INLINE void store_rounded(bf16* p, Vec v) {
#if defined(HADAL_ISA_IS_avx512)
  const __m256bh h = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(v));
  __builtin_memcpy(p, &h, sizeof h);
#else
  store(p, v);
#endif
}

template <class T>
HADAL_INLINE Vec load_lanes(const T* p, index_t lanes) {
  return lanes == kLanes ? load(p) : load_first(p, lanes);
}

/// Any way to write the sums, also of a cut tile: acc[rows][vecs].
[[gnu::noinline]] inline void finish_any(const Tile& t, const Vec* acc, int rows, int vecs) {
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vecs; ++v) {
      const index_t column = v * kLanes;
      const index_t lanes = std::min<index_t>(kLanes, t.columns - column);
      Vec sum = acc[r * vecs + v];
      if (t.row_scale != nullptr) sum *= splat(t.row_scale[r * t.row_scale_stride]) * load(t.column_scale + column);
      if (t.before != nullptr) sum += load_lanes(t.before + r * t.before_stride + column, lanes);
      if (t.bf16_out) {
        bf16* out = static_cast<bf16*>(t.out) + r * t.out_stride + column;
        if (t.bf16_add) sum += load_lanes(out, lanes);
        if (lanes == kLanes) {
          store_rounded(out, sum);
        } else {
          store_first(out, sum, lanes);
        }
      } else {
        float* out = static_cast<float*>(t.out) + r * t.out_stride + column;
        if (lanes == kLanes) {
          store(out, sum);
        } else {
          store_first(out, sum, lanes);
        }
      }
    }
  }
}

/// Whole tiles in the cases that matter, from registers.
template <bool kBf16, bool kBefore, bool kScaled, int kRows, int kVecs>
HADAL_INLINE void finish_whole(const Tile& t, const Vec (&acc)[kRows][kVecs]) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const Vec row_scale = kScaled ? splat(t.row_scale[r * t.row_scale_stride]) : Vec{};
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) {
      Vec sum = acc[r][v];
      if constexpr (kScaled) sum *= row_scale * load(t.column_scale + v * kLanes);
      if constexpr (kBefore) sum += load(t.before + r * t.before_stride + v * kLanes);
      if constexpr (kBf16)
        store_rounded(static_cast<bf16*>(t.out) + r * t.out_stride + v * kLanes, sum);
      else
        store(static_cast<float*>(t.out) + r * t.out_stride + v * kLanes, sum);
    }
  }
}

template <int kRows, int kVecs>
HADAL_INLINE void finish(const Tile& t, const Vec (&acc)[kRows][kVecs]) {
  const bool before = t.before != nullptr, scaled = t.row_scale != nullptr;
  if (t.columns < kVecs * kLanes || (t.bf16_out && (t.bf16_add || scaled)) || (scaled && !before)) {
    Vec copy[kRows * kVecs];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) copy[r * kVecs + v] = acc[r][v];
    finish_any(t, copy, kRows, kVecs);
  } else if (t.bf16_out) {
    before ? finish_whole<true, true, false>(t, acc) : finish_whole<true, false, false>(t, acc);
  } else if (scaled) {
    finish_whole<false, true, true>(t, acc);
  } else {
    before ? finish_whole<false, true, false>(t, acc) : finish_whole<false, false, false>(t, acc);
  }
}

/// One tile. kPacked: `a` is a strip, kStrip words per step (a tile of 12 rows takes two strips).
template <class Word, int kRows, int kVecs, bool kPacked>
void multiply_tile(const Tile& t) {
  constexpr index_t kStep = kPacked ? kStrip * 4 : 4;
  Vec acc[kRows][kVecs] = {};
  const std::byte* a = t.a;
  const std::byte* b = t.b;
  if (t.before != nullptr)
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVecs; ++v) __builtin_prefetch(t.before + r * t.before_stride + v * kLanes);
  const std::byte* next = t.next_a;
  const auto step = [&] {
    Vec right[kVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) right[v] = load(reinterpret_cast<const float*>(b) + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec left =
          broadcast_word<Word>(kPacked ? a + r / kStrip * t.a_stride + r % kStrip * 4 : a + r * t.a_stride);
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) acc[r][v] = dot<Word>(left, right[v], acc[r][v]);
    }
    a += kStep;
    b += kVecs * kLanes * 4;
  };
  // Sixteen words are a cache line of each row.
  index_t k = 0;
  for (; k + 16 <= t.words; k += 16) {
    for (int r = 0; r < kRows; ++r) __builtin_prefetch(next + r * (kPacked ? 64 : t.a_stride));
    next += kPacked ? 16 * kStep : 64;
#pragma GCC unroll 4
    for (int i = 0; i < 16; ++i) step();
  }
  for (; k < t.words; ++k) step();
  finish(t, acc);
}

using TileFunction = void (*)(const Tile&);

template <class Word, int kVecs, bool kPacked>
TileFunction tile_function_of(index_t rows) {
  if constexpr (tile_rows(kVecs) == 12)
    if (rows == 12) return multiply_tile<Word, 12, kVecs, kPacked>;
  switch (rows) {
    case 6:
      return multiply_tile<Word, 6, kVecs, kPacked>;
    case 5:
      return multiply_tile<Word, 5, kVecs, kPacked>;
    case 4:
      return multiply_tile<Word, 4, kVecs, kPacked>;
    case 3:
      return multiply_tile<Word, 3, kVecs, kPacked>;
    case 2:
      return multiply_tile<Word, 2, kVecs, kPacked>;
    default:
      return multiply_tile<Word, 1, kVecs, kPacked>;
  }
}

/// The kernel for `rows` in [1, kStrip] or tile_rows(vecs).
template <class Word, bool kPacked>
TileFunction tile_function(index_t rows, int vecs) {
  if constexpr (kPanelVecs == 4) {
    if (vecs == 4) return tile_function_of<Word, 4, kPacked>(rows);
    if (vecs == 3) return tile_function_of<Word, 3, kPacked>(rows);
  }
  return vecs == 2 ? tile_function_of<Word, 2, kPacked>(rows) : tile_function_of<Word, 1, kPacked>(rows);
}

#endif  // HADAL_KERNELS_CPU_GEMM_TILE_H_
