// How rows of queries, keys and values become operands of attention_tiles.h, and tiles become rows again. Include
// inside the region that isa_begin.h opens, after attention_tiles.h. A row that does not exist (nullptr) reads as
// zeros.
#ifndef HADAL_KERNELS_CPU_ATTENTION_PACK_H_
#define HADAL_KERNELS_CPU_ATTENTION_PACK_H_

#if defined(HADAL_ISA_IS_avx512)
/// Up to 16 words of a row; elements from n on read as zero.
template <class W>
HADAL_INLINE __m512i load_words(const typename W::Element* row, index_t n) {
  if (row == nullptr || n <= 0) return _mm512_setzero_si512();
  if (n >= 16 * W::kPair) return _mm512_loadu_si512(row);
  if constexpr (W::kPair == 2)
    return _mm512_maskz_loadu_epi16((1U << n) - 1, row);
  else
    return _mm512_maskz_loadu_epi32(static_cast<__mmask16>((1U << n) - 1), row);
}

/// In-register transposition of 16 x 16 words.
HADAL_INLINE void transpose16(__m512i (&x)[16]) {
  __m512i y[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  // x[4g + c]: column 4l + c of rows 4g .. 4g + 3 in lane group l.
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i low02 = _mm512_shuffle_i32x4(x[c], x[4 + c], 0x88),
                  low13 = _mm512_shuffle_i32x4(x[c], x[4 + c], 0xDD);
    const __m512i high02 = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0x88);
    const __m512i high13 = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0xDD);
    y[c] = _mm512_shuffle_i32x4(low02, high02, 0x88);
    y[8 + c] = _mm512_shuffle_i32x4(low02, high02, 0xDD);
    y[4 + c] = _mm512_shuffle_i32x4(low13, high13, 0x88);
    y[12 + c] = _mm512_shuffle_i32x4(low13, high13, 0xDD);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) x[i] = y[i];
}
#endif

HADAL_INLINE float f32_of(float v) {
  return v;
}
HADAL_INLINE float f32_of(bf16 v) {
  return to_f32(v);
}
HADAL_INLINE void round_to(float* p, float v) {
  *p = v;
}
HADAL_INLINE void round_to(bf16* p, float v) {
  *p = to_bf16(v);
}

/// to[word][query] for the kQueryLanes rows of n elements.
template <class W>
inline void pack_by_query(float* to, const typename W::Element* const* rows, index_t n) {
#if defined(HADAL_ISA_IS_avx512)
  for (int v = 0; v < kQueryVecs; ++v) {
    for (index_t w = 0; w * W::kPair < n; w += 16) {
      __m512i x[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        const auto* row = rows[v * 16 + i];
        x[i] = load_words<W>(row == nullptr ? nullptr : row + w * W::kPair, n - w * W::kPair);
      }
      transpose16(x);
      const index_t num = std::min<index_t>(16, words_of<W>(n) - w);
      if (num == 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + (w + i) * kQueryLanes + v * 16, x[i]);
      } else {
        alignas(64) float words[16][16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) _mm512_store_si512(words[i], x[i]);
        for (index_t i = 0; i < num; ++i) store(to + (w + i) * kQueryLanes + v * 16, load(words[i]));
      }
    }
  }
#else
  for (int lane = 0; lane < kQueryLanes; ++lane)
    for (index_t w = 0; w < n; ++w) to[w * kQueryLanes + lane] = rows[lane] == nullptr ? 0 : f32_of(rows[lane][w]);
#endif
}

/// Rows as two column blocks: key rows with the part that all heads share, or one block and an empty second.
template <class T>
struct RowSource {
  const T *first = nullptr, *second = nullptr;  // row 0 of each; nullptr when its dim is 0
  index_t first_stride = 0, second_stride = 0, first_dim = 0, second_dim = 0;

  index_t dim() const { return first_dim + second_dim; }
  const T* first_at(index_t r) const { return first == nullptr ? nullptr : first + r * first_stride; }
  const T* second_at(index_t r) const { return second == nullptr ? nullptr : second + r * second_stride; }
  RowSource from_row(index_t r) const {
    return {first_at(r), second_at(r), first_stride, second_stride, first_dim, second_dim};
  }
};

// The writers below store whole vectors: they may run over the end of a row by less than one vector, which the next row
// then overwrites. Buffers end with kSlack words to spare.
inline constexpr index_t kSlack = 16;

/// n elements of a row as words, then zeros up to a whole vector.
template <class W>
HADAL_INLINE void copy_words(float* to, const typename W::Element* row, index_t n) {
#if defined(HADAL_ISA_IS_avx512)
  if constexpr (W::kPair == 2 || std::is_same_v<typename W::Element, float>) {
    for (index_t i = 0; i < n; i += 16 * W::kPair)
      _mm512_storeu_si512(to + i / W::kPair, load_words<W>(row == nullptr ? nullptr : row + i, n - i));
    return;
  }
#endif
  if constexpr (W::kPair == 1) {
    index_t i = 0;
    if (row == nullptr) n = 0;
    for (; i + kLanes <= n; i += kLanes) store(to + i, load(row + i));
    if (i < n) store(to + i, load_first(row + i, n - i));
  }
}

/// to[row][word], stride words apart; rows [num_rows, padded_rows) are zero.
template <class W>
inline void pack_rows(float* to, index_t stride, const RowSource<typename W::Element>& from, index_t num_rows,
                      index_t padded_rows) {
  for (index_t r = 0; r < num_rows; ++r) {
    float* row = to + r * stride;
    copy_words<W>(row, from.first_at(r), from.first_dim);
    if (from.second_dim == 0) continue;
    if constexpr (W::kPair == 2)
      copy_words<W>(reinterpret_cast<float*>(reinterpret_cast<bf16*>(row) + from.first_dim), from.second_at(r),
                    from.second_dim);
    else
      copy_words<W>(row + from.first_dim, from.second_at(r), from.second_dim);
  }
  std::fill(to + num_rows * stride, to + padded_rows * stride, 0.0F);
}

#if defined(HADAL_ISA_IS_avx512)
/// The pairs (x[i], y[i]) of two rows of n bf16, as n words, then zeros up to a whole vector.
HADAL_INLINE void interleave(float* to, const bf16* x, const bf16* y, index_t n) {
  alignas(64) static constexpr std::uint16_t kLow[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                                         8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i low = _mm512_load_si512(kLow), high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  for (index_t i = 0; i < n; i += 32) {
    const __m512i a = load_words<Bf16Words>(x == nullptr ? nullptr : x + i, n - i);
    const __m512i b = load_words<Bf16Words>(y == nullptr ? nullptr : y + i, n - i);
    _mm512_storeu_si512(to + i, _mm512_permutex2var_epi16(a, low, b));
    if (n - i > 16) _mm512_storeu_si512(to + i + 16, _mm512_permutex2var_epi16(a, high, b));
  }
}
#endif

/// Words along the rows: to[row / kPair][channel], stride words apart. An odd last row is paired with zeros.
template <class W>
inline void pack_along_rows(float* to, index_t stride, const RowSource<typename W::Element>& from, index_t num_rows) {
#if defined(HADAL_ISA_IS_avx512)
  if constexpr (W::kPair == 2) {
    for (index_t r = 0; r < num_rows; r += 2) {
      const bool pair = r + 1 < num_rows;
      float* row = to + r / 2 * stride;
      interleave(row, from.first_at(r), pair ? from.first_at(r + 1) : nullptr, from.first_dim);
      if (from.second_dim > 0)
        interleave(row + from.first_dim, from.second_at(r), pair ? from.second_at(r + 1) : nullptr, from.second_dim);
    }
    return;
  }
#endif
  if constexpr (W::kPair == 1) pack_rows<W>(to, stride, from, num_rows, num_rows);
}

/// The same for the lanes of a block of queries, n elements each.
template <class W>
inline void pack_along_lanes(float* to, index_t stride, const typename W::Element* const* rows, index_t n) {
#if defined(HADAL_ISA_IS_avx512)
  if constexpr (W::kPair == 2) {
    for (int lane = 0; lane < kQueryLanes; lane += 2) interleave(to + lane / 2 * stride, rows[lane], rows[lane + 1], n);
    return;
  }
#endif
  if constexpr (W::kPair == 1) {
    for (int lane = 0; lane < kQueryLanes; ++lane) {
      if (rows[lane] == nullptr)
        std::fill(to + lane * stride, to + (lane + 1) * stride, 0.0F);
      else
        copy_words<W>(to + lane * stride, rows[lane], n);
    }
  }
}

#if defined(HADAL_ISA_IS_avx512)
/// 16 queries (lane) x 16 words of channels from tile[channel][query], times factor. Channels from n on are zero.
HADAL_INLINE void read_words(__m512i (&x)[16], const float* tile, index_t n, Vec factor, float) {
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    x[i] = i < n ? reinterpret_cast<__m512i>(load(tile + i * kQueryLanes) * factor) : _mm512_setzero_si512();
}
HADAL_INLINE void read_words(__m512i (&x)[16], const float* tile, index_t n, Vec factor, bf16) {
  // The two halves of a rounded pair, moved next to each other.
  alignas(64) static constexpr std::uint16_t kPairs[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i pairs = _mm512_load_si512(kPairs);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const Vec low = 2 * i < n ? load(tile + 2 * i * kQueryLanes) * factor : Vec{};
    const Vec high = 2 * i + 1 < n ? load(tile + (2 * i + 1) * kQueryLanes) * factor : Vec{};
    const __m512bh both = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(high), reinterpret_cast<__m512>(low));
    x[i] = _mm512_permutexvar_epi16(pairs, reinterpret_cast<__m512i>(both));
  }
}
#endif

/// Rows (=) of n channels from tile[channel][query], each query times its factor. Rows that are nullptr are skipped.
template <class T>
inline void unpack_by_query(T* const* rows, const float* tile, index_t n, const float* factors) {
#if defined(HADAL_ISA_IS_avx512)
  constexpr index_t kChannels = 64 / sizeof(T);  // of 16 words
  for (int v = 0; v < kQueryVecs; ++v) {
    const Vec factor = load(factors + v * 16);
    for (index_t u = 0; u < n; u += kChannels) {
      const index_t num = std::min(kChannels, n - u);
      __m512i x[16];
      if (num == kChannels)
        read_words(x, tile + u * kQueryLanes + v * 16, kChannels, factor, T{});
      else
        read_words(x, tile + u * kQueryLanes + v * 16, num, factor, T{});
      transpose16(x);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        T* row = rows[v * 16 + i];
        if (row == nullptr) continue;
        if (num == kChannels)
          _mm512_storeu_si512(row + u, x[i]);
        else if constexpr (sizeof(T) == 2)
          _mm512_mask_storeu_epi16(row + u, (1U << num) - 1, x[i]);
        else
          _mm512_mask_storeu_epi32(row + u, static_cast<__mmask16>((1U << num) - 1), x[i]);
      }
    }
  }
#else
  for (int lane = 0; lane < kQueryLanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    for (index_t u = 0; u < n; ++u) round_to(rows[lane] + u, tile[u * kQueryLanes + lane] * factors[lane]);
  }
#endif
}

#endif  // HADAL_KERNELS_CPU_ATTENTION_PACK_H_
