// Rearranges operands into what gemm_tile.h reads, widening bf16 (below AVX-512) and E4M3 on the way.
//
// A packed panel of the right operand is [words][columns], columns a multiple of kLanes, missing ones zero. A packed
// strip of the left operand is [words][kStrip], missing rows zero. With pairs as words, an odd last value is paired
// with zero.
#ifndef HADAL_KERNELS_CPU_GEMM_PACK_H_
#define HADAL_KERNELS_CPU_GEMM_PACK_H_

#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/small_floats.h"

/// The word that values of type T are multiplied as.
template <class T>
struct WordOf {
  using type = float;
};
#if defined(HADAL_ISA_IS_avx512)
template <>
struct WordOf<bf16> {
  using type = Bf16Pair;
};
template <>
struct WordOf<e4m3> {
  using type = Bf16Pair;
};
#endif
template <class T>
using Word = typename WordOf<T>::type;
/// Values of T in a word.
template <class T>
inline constexpr index_t kValues = std::is_same_v<Word<T>, float> ? 1 : 2;
template <class T>
constexpr index_t words_of(index_t values) {
  return (values + kValues<T> - 1) / kValues<T>;
}
/// Whether the values are words (or halves of them) as they stand.
template <class T>
inline constexpr bool kAsStored = sizeof(T) * kValues<T> == 4;

#if defined(HADAL_ISA_IS_avx512)
/// 32 values as bf16; those outside `mask` are zero.
HADAL_INLINE __m512i load_bf16(const bf16* p, __mmask32 mask) {
  return _mm512_maskz_loadu_epi16(mask, p);
}
HADAL_INLINE __m512i load_bf16(const e4m3* p, __mmask32 mask) {
  const __m512i code = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, p));
  const __m512i magnitude = _mm512_and_si512(code, _mm512_set1_epi16(0x7F));
  const __m512i sign = _mm512_slli_epi16(_mm512_and_si512(code, _mm512_set1_epi16(0x80)), 8);
  const __m512i normal = _mm512_add_epi16(_mm512_slli_epi16(magnitude, 4), _mm512_set1_epi16(120 << 7));
  // m * 2^-9 for m = 0..7, the subnormal codes; the lookup uses the low five bits of the code.
  const __m512i subnormals =
      _mm512_broadcast_i32x4(_mm_setr_epi16(0, 0x3B00, 0x3B80, 0x3BC0, 0x3C00, 0x3C20, 0x3C40, 0x3C60));
  const __mmask32 small = _mm512_cmplt_epu16_mask(magnitude, _mm512_set1_epi16(8));
  const __mmask32 nan = _mm512_cmpeq_epi16_mask(magnitude, _mm512_set1_epi16(0x7F));
  __m512i value = _mm512_mask_permutexvar_epi16(normal, small, code, subnormals);
  value = _mm512_mask_blend_epi16(nan, value, _mm512_set1_epi16(0x7FC0));
  return _mm512_or_si512(value, sign);
}
HADAL_INLINE __mmask32 first_lanes(index_t n) {
  return n >= 32 ? ~0U : (1U << n) - 1;
}

/// Words (column c of `even`, column c of `odd`): columns 0-15 to `low`, 16-31 to `high`.
HADAL_INLINE void interleave(__m512i even, __m512i odd, __m512i& low, __m512i& high) {
  const __m512i lower = _mm512_unpacklo_epi16(even, odd), upper = _mm512_unpackhi_epi16(even, odd);
  low = _mm512_permutex2var_epi64(lower, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), upper);
  high = _mm512_permutex2var_epi64(lower, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), upper);
}
#endif

#if !defined(HADAL_ISA_IS_avx512)
/// Of blocks of kHalf lanes: the first of each two of `a` and of `b` in turn, or the second ones.
template <int kHalf, bool kSecond, int... kLane>
HADAL_INLINE Vec take_blocks(Vec a, Vec b, std::integer_sequence<int, kLane...>) {
  constexpr int kFrom = kSecond ? kHalf : 0;
  return __builtin_shufflevector(a, b, ((kLane & kHalf) != 0 ? kLanes + kLane - kHalf + kFrom : kLane + kFrom)...);
}
/// Swaps the off-diagonal halves of blocks of 2 * kHalf rows and lanes, then of larger ones.
template <int kHalf>
HADAL_INLINE void swap_halves(Vec (&row)[kLanes]) {
  constexpr std::make_integer_sequence<int, kLanes> kAll;
#pragma GCC unroll 8
  for (int n = 0; n < kLanes; ++n) {
    if ((n & kHalf) != 0) continue;
    const Vec a = row[n], b = row[n + kHalf];
    row[n] = take_blocks<kHalf, false>(a, b, kAll);
    row[n + kHalf] = take_blocks<kHalf, true>(a, b, kAll);
  }
  if constexpr (2 * kHalf < kLanes) swap_halves<2 * kHalf>(row);
}
#endif

/// dst[k][n] = src[n][k], kLanes x kLanes words; strides in bytes.
HADAL_INLINE void transpose_words(std::byte* dst, index_t dst_stride, const std::byte* src, index_t src_stride) {
#if defined(HADAL_ISA_IS_avx512)
  // Lane j of piece[r][q] holds words 4q..4q+3 of row 4j + r, gathered by the load ports; two rounds of unpacking do
  // the rest. Four rows at a time, because rows a power of two apart share few cache sets.
  __m512i piece[4][4];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      const std::byte* p = src + r * src_stride + q * 16;
      const auto lane = [&](int j) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 4 * j * src_stride));
      };
      __m512i v = _mm512_castsi128_si512(lane(0));
      v = _mm512_mask_broadcast_i32x4(v, 0x00F0, lane(1));
      v = _mm512_mask_broadcast_i32x4(v, 0x0F00, lane(2));
      piece[r][q] = _mm512_mask_broadcast_i32x4(v, 0xF000, lane(3));
    }
  }
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const __m512i low01 = _mm512_unpacklo_epi32(piece[0][q], piece[1][q]),
                  high01 = _mm512_unpackhi_epi32(piece[0][q], piece[1][q]);
    const __m512i low23 = _mm512_unpacklo_epi32(piece[2][q], piece[3][q]),
                  high23 = _mm512_unpackhi_epi32(piece[2][q], piece[3][q]);
    std::byte* out = dst + 4 * q * dst_stride;
    _mm512_storeu_si512(out, _mm512_unpacklo_epi64(low01, low23));
    _mm512_storeu_si512(out + dst_stride, _mm512_unpackhi_epi64(low01, low23));
    _mm512_storeu_si512(out + 2 * dst_stride, _mm512_unpacklo_epi64(high01, high23));
    _mm512_storeu_si512(out + 3 * dst_stride, _mm512_unpackhi_epi64(high01, high23));
  }
#else
  Vec row[kLanes];
#pragma GCC unroll 8
  for (int n = 0; n < kLanes; ++n) row[n] = load(reinterpret_cast<const float*>(src + n * src_stride));
  swap_halves<1>(row);
#pragma GCC unroll 8
  for (int n = 0; n < kLanes; ++n) store(reinterpret_cast<float*>(dst + n * dst_stride), row[n]);
#endif
}

/// `count` values of one row as words, zero up to `padded` words.
template <class T>
void widen_row(std::byte* dst, const T* src, index_t count, index_t padded) {
  index_t i = 0;
  if constexpr (std::is_same_v<Word<T>, float>) {
    auto* out = reinterpret_cast<float*>(dst);
    for (; i + kLanes <= count; i += kLanes) store(out + i, load(src + i));
    if (i < count) store_first(out + i, load_first(src + i, count - i), count - i);
    std::memset(out + count, 0, static_cast<std::size_t>(padded - count) * 4);
  } else {
#if defined(HADAL_ISA_IS_avx512)
    std::memset(dst + count / 2 * 4, 0, static_cast<std::size_t>(padded - count / 2) * 4);
    for (; i < count; i += 32) {
      const __mmask32 mask = first_lanes(count - i);
      _mm512_mask_storeu_epi16(dst + 2 * i, mask, load_bf16(src + i, mask));
    }
#endif
  }
}

/// Packs a panel from a source whose columns are its rows: word k of column n comes from src[n][values of k].
template <class T>
void pack_transposed(std::byte* dst, index_t columns, const T* src, index_t stride, index_t values) {
  const index_t words = words_of<T>(values), row_bytes = (columns + kLanes - 1) / kLanes * kLanes * 4;
  alignas(64) std::byte stage[kLanes * kLanes * 4], last[kLanes * kLanes * 4];
  for (index_t n = 0; n < columns; n += kLanes) {
    const index_t num_rows = std::min<index_t>(kLanes, columns - n);
    for (index_t k = 0; k < words; k += kLanes) {
      const T* from = src + n * stride + k * kValues<T>;
      std::byte* to = dst + k * row_bytes + n * 4;
      const bool whole = k + kLanes <= words && (k + kLanes) * kValues<T> <= values;
      if (kAsStored<T> && whole && num_rows == kLanes) {
        transpose_words(to, row_bytes, reinterpret_cast<const std::byte*>(from),
                        stride * static_cast<index_t>(sizeof(T)));
        continue;
      }
      const index_t count = std::min(values - k * kValues<T>, kLanes * kValues<T>);
      for (index_t r = 0; r < num_rows; ++r) widen_row(stage + r * kLanes * 4, from + r * stride, count, kLanes);
      std::memset(stage + num_rows * kLanes * 4, 0, static_cast<std::size_t>((kLanes - num_rows) * kLanes) * 4);
      if (k + kLanes <= words) {
        transpose_words(to, row_bytes, stage, kLanes * 4);
      } else {
        transpose_words(last, kLanes * 4, stage, kLanes * 4);
        for (index_t i = 0; k + i < words; ++i) std::memcpy(to + i * row_bytes, last + i * kLanes * 4, kLanes * 4);
      }
    }
  }
}

/// Where word k of the panel of `vecs` vectors that begins at `column` stands in a right operand that is packed as a
/// whole, with `values` values in each column: panel after panel, the values of a panel as they are stored (words, or
/// on CPUs that widen them, [values][columns]).
template <class T>
index_t packed_offset(index_t column, index_t values, index_t k, int vecs) {
  if constexpr (kAsStored<T>) return (column * words_of<T>(values) + k / kValues<T> * vecs * kLanes) * 4;
  return (column * values + k * vecs * kLanes) * static_cast<index_t>(sizeof(T));
}

/// Packs the panel that begins at `column` of a right operand whose columns are its rows.
template <class T>
void pack_panel(std::byte* packed, index_t column, index_t columns, const T* src, index_t stride, index_t values) {
  const index_t n = std::min<index_t>(kPanel, columns - column), padded = (n + kLanes - 1) / kLanes * kLanes;
  std::byte* panel = packed + packed_offset<T>(column, values, 0, 0);
  if constexpr (kAsStored<T>) {
    pack_transposed(panel, n, src + column * stride, stride, values);
  } else {
    auto* to = reinterpret_cast<T*>(panel);
    for (index_t k = 0; k < values; ++k)
      for (index_t c = 0; c < padded; ++c) to[k * padded + c] = c < n ? src[(column + c) * stride + k] : T{};
  }
}

/// Packs a panel from a source whose rows run along the columns: word k of column n comes from src[values of k][n].
template <class T>
void pack_rows(std::byte* dst, index_t columns, const T* src, index_t stride, index_t values) {
  const index_t words = words_of<T>(values), row_bytes = (columns + kLanes - 1) / kLanes * kLanes * 4;
  for (index_t k = 0; k < words; ++k, dst += row_bytes) {
    if constexpr (std::is_same_v<Word<T>, float>) {
      widen_row(dst, src + k * stride, columns, row_bytes / 4);
    } else {
#if defined(HADAL_ISA_IS_avx512)
      const T* even = src + 2 * k * stride;
      for (index_t n = 0; n < columns; n += 32) {
        const __mmask32 mask = first_lanes(columns - n);
        __m512i low, high;
        interleave(load_bf16(even + n, mask), load_bf16(even + stride + n, 2 * k + 1 < values ? mask : 0), low, high);
        _mm512_storeu_si512(dst + 4 * n, low);
        if (columns - n > 16) _mm512_storeu_si512(dst + 4 * n + 64, high);
      }
#endif
    }
  }
}

/// Eight values as f32; those beyond `left` read as zero.
template <class T>
HADAL_INLINE void widen_eight(float* dst, const T* src, index_t left) {
  T cut[8] = {};
  if (left < 8) {
    for (index_t i = 0; i < left; ++i) cut[i] = src[i];
    src = cut;
  }
  if constexpr (std::is_same_v<T, float>) {
    __builtin_memcpy(dst, src, 32);
  } else if constexpr (kLanes <= 8) {
    for (index_t i = 0; i < 8; i += kLanes) store(dst + i, load(src + i));
  }
}

/// Packs ceil(rows / kStrip) strips, `pitch` bytes apart, from a source whose rows run along the rows of the tile: word
/// k of row m comes from src[values of k][m]. Missing rows of the last strip are zero.
template <class T>
void pack_strips(std::byte* dst, index_t pitch, index_t rows, const T* src, index_t stride, index_t values) {
  const index_t words = words_of<T>(values);
  for (index_t k = 0; k < words; ++k, dst += kStrip * 4) {
    // A store of eight words runs into the place of the next word, which is written later; the last one is cut.
    const bool last = k + 1 == words;
    if constexpr (std::is_same_v<Word<T>, float>) {
      const T* from = src + k * stride;
      for (index_t m = 0, s = 0; m < rows; m += kStrip, ++s) {
        float eight[8];
        widen_eight(eight, from + m, rows - m);
        __builtin_memcpy(dst + s * pitch, eight, last ? kStrip * 4 : 32);
      }
    } else {
#if defined(HADAL_ISA_IS_avx512)
      const T* even = src + 2 * k * stride;
      const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0);
      for (index_t m = 0, s = 0; m < rows; m += 5 * kStrip) {
        const __mmask32 mask = first_lanes(rows - m);
        __m512i low, high;
        interleave(load_bf16(even + m, mask), load_bf16(even + stride + m, 2 * k + 1 < values ? mask : 0), low, high);
        for (int i = 0; i < 5 && m + i * kStrip < rows; ++i, ++s) {
          const __m512i index = _mm512_add_epi32(lanes, _mm512_set1_epi32(i * kStrip));
          const __m256i strip = _mm512_castsi512_si256(_mm512_permutex2var_epi32(low, index, high));
          if (last) {
            _mm256_mask_storeu_epi32(dst + s * pitch, 0x3F, strip);
          } else {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + s * pitch), strip);
          }
        }
      }
#endif
    }
  }
}

#endif  // HADAL_KERNELS_CPU_GEMM_PACK_H_
