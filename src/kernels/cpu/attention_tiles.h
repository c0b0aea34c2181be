// Register tiles of the attention kernels. Include inside the region that isa_begin.h opens, after vec.h.
//
// All products have the same shape: the lanes of a vector are queries (or channels), the other operand is broadcast. An
// operand is a sequence of 32-bit words along the summed axis: one f32, or two bf16 that one vdpbf16ps consumes.
#ifndef HADAL_KERNELS_CPU_ATTENTION_TILES_H_
#define HADAL_KERNELS_CPU_ATTENTION_TILES_H_

// A tile of scores is kTileKeys keys x up to kQueryVecs vectors of queries: 24 of 32 registers on AVX-512, 12 of 16
// else.
inline constexpr int kTileKeys = 6;
#if defined(HADAL_ISA_IS_avx512)
inline constexpr int kQueryVecs = 4;
#else
inline constexpr int kQueryVecs = 2;
#endif
inline constexpr int kQueryLanes = kQueryVecs * kLanes;

/// Every lane the given bits. Not vec.h's splat: an addition would alter words that are pairs of bf16.
HADAL_INLINE Vec broadcast(float word) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<Vec>(_mm512_set1_ps(word));
#elif defined(HADAL_ISA_IS_avx2)
  return reinterpret_cast<Vec>(_mm256_set1_ps(word));
#else
  return Vec{word, word, word, word};
#endif
}

/// Operands in f32, whatever the inputs hold.
template <class T>
struct F32Words {
  using Element = T;
  static constexpr int kPair = 1;  // elements per word
  HADAL_INLINE static Vec dot(Vec acc, Vec a, Vec b) { return fma(a, b, acc); }
};
#if defined(HADAL_ISA_IS_avx512)
/// bf16 operands, f32 sums. Products of denormals count as zero, as vdpbf16ps has it.
struct Bf16Words {
  using Element = bf16;
  static constexpr int kPair = 2;
  HADAL_INLINE static Vec dot(Vec acc, Vec a, Vec b) {
    return reinterpret_cast<Vec>(
        _mm512_dpbf16_ps(reinterpret_cast<__m512>(acc), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
  }
};
#endif

/// Words that hold n elements.
template <class W>
constexpr index_t words_of(index_t n) {
  return (n + W::kPair - 1) / W::kPair;
}

/// acc[m][v] += sum_w a[m][w] . b[w][v]: rows of a are a_stride words apart, rows of b b_stride words.
template <class W, int kRows, int kVecs>
HADAL_INLINE void dot_tile(Vec (&acc)[kRows][kVecs], const float* a, index_t a_stride, const float* b, index_t b_stride,
                           index_t num_words) {
  for (index_t w = 0; w < num_words; ++w) {
    Vec column[kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) column[v] = load(b + w * b_stride + v * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
      const Vec row = broadcast(a[m * a_stride + w]);
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) acc[m][v] = W::dot(acc[m][v], row, column[v]);
    }
  }
}

template <class W, int kRows, int kFirst>
HADAL_INLINE void ragged_part(Vec (&acc)[kRows][kQueryVecs], const float* a, index_t a_stride, const float* b,
                              index_t begin, index_t end) {
  for (index_t w = begin; w < end; ++w) {
    Vec column[kQueryVecs];
#pragma GCC unroll 8
    for (int v = kFirst; v < kQueryVecs; ++v) column[v] = load(b + w * kQueryLanes + v * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
      const Vec row = broadcast(a[w * a_stride + m]);
#pragma GCC unroll 8
      for (int v = kFirst; v < kQueryVecs; ++v) acc[m][v] = W::dot(acc[m][v], row, column[v]);
    }
  }
}

/// How many words along the keys each vector of queries takes part in; later queries see more keys.
struct RaggedEnds {
  index_t end[kQueryVecs];
};

/// out[m] (=|+=) sum_w a[w][m] . b[w] over the words that each vector of queries sees. a: words of kRows channels,
/// a_stride apart; b and out: rows of kQueryLanes.
template <class W, int kRows>
[[gnu::noinline]] void ragged_tile(float* out, const float* a, index_t a_stride, const float* b, const RaggedEnds& ends,
                                   bool add) {
  for (int i = 0; i < kRows * kQueryVecs; ++i) __builtin_prefetch(out + i * kLanes, 1, 3);
  Vec acc[kRows][kQueryVecs] = {};
  ragged_part<W, kRows, 0>(acc, a, a_stride, b, 0, ends.end[0]);
  ragged_part<W, kRows, 1>(acc, a, a_stride, b, ends.end[0], ends.end[1]);
#if defined(HADAL_ISA_IS_avx512)
  ragged_part<W, kRows, 2>(acc, a, a_stride, b, ends.end[1], ends.end[2]);
  ragged_part<W, kRows, 3>(acc, a, a_stride, b, ends.end[2], ends.end[3]);
#endif
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < kQueryVecs; ++v) {
      float* to = out + m * kQueryLanes + v * kLanes;
      store(to, add ? load(to) + acc[m][v] : acc[m][v]);
    }
  }
}

/// The product of ragged_tile for all channels. Tiles of nearly equal height, at most kTileKeys.
template <class W>
inline void ragged_product(float* out, const float* a, index_t a_stride, const float* b, const RaggedEnds& ends,
                           index_t channels, bool add) {
  const index_t tiles = (channels + kTileKeys - 1) / kTileKeys;
  index_t u = 0;
  for (index_t tile = 0; tile < tiles; ++tile) {
    const index_t rows = (channels - u) / (tiles - tile);
    float* to = out + u * kQueryLanes;
    switch (rows) {
      case 1:
        ragged_tile<W, 1>(to, a + u, a_stride, b, ends, add);
        break;
      case 2:
        ragged_tile<W, 2>(to, a + u, a_stride, b, ends, add);
        break;
      case 3:
        ragged_tile<W, 3>(to, a + u, a_stride, b, ends, add);
        break;
      case 4:
        ragged_tile<W, 4>(to, a + u, a_stride, b, ends, add);
        break;
      case 5:
        ragged_tile<W, 5>(to, a + u, a_stride, b, ends, add);
        break;
      default:
        ragged_tile<W, 6>(to, a + u, a_stride, b, ends, add);
        break;
    }
    u += rows;
  }
}

/// x[i] = 2^x[i]: 0 far below; infinite or at least 2^120 far above. The relative error is below 3e-6 with bf16 words,
/// whose products round to 8 bits anyway, and below 3e-7 else. NaN in, NaN out. Several at a time, step by step: one
/// chain of dependent steps after the other would leave the pipes waiting.
template <class W, int kNum>
HADAL_INLINE void exp2_all(Vec (&x)[kNum]) {
#if defined(HADAL_ISA_IS_avx512)
  // Minimax polynomials of 2^r on [-1/2, 1/2], from the highest power down.
  constexpr int kDegree = W::kPair == 2 ? 4 : 5;
  constexpr float kBf16[] = {9.5701019081e-3F, 5.5917860319e-2F, 2.4024744828e-1F, 6.9312181474e-1F, 9.9999926145e-1F};
  constexpr float kF32[] = {1.3276471979e-3F, 9.6755413342e-3F, 5.5507132735e-2F,
                            2.4022119724e-1F, 6.9314696706e-1F, 1.0F};
  __m512 n[kNum];
  Vec p[kNum];
#pragma GCC unroll 8
  for (int i = 0; i < kNum; ++i)
    n[i] = _mm512_roundscale_ps(reinterpret_cast<__m512>(x[i]), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#pragma GCC unroll 8
  for (int i = 0; i < kNum; ++i) x[i] -= reinterpret_cast<Vec>(n[i]);
#pragma GCC unroll 8
  for (int i = 0; i < kNum; ++i) p[i] = splat(W::kPair == 2 ? kBf16[0] : kF32[0]);
#pragma GCC unroll 8
  for (int d = 1; d <= kDegree; ++d) {
#pragma GCC unroll 8
    for (int i = 0; i < kNum; ++i) p[i] = fma(p[i], x[i], splat(W::kPair == 2 ? kBf16[d] : kF32[d]));
  }
#pragma GCC unroll 8
  for (int i = 0; i < kNum; ++i) x[i] = reinterpret_cast<Vec>(_mm512_scalef_ps(reinterpret_cast<__m512>(p[i]), n[i]));
#else
#pragma GCC unroll 8
  for (int i = 0; i < kNum; ++i) x[i] = exp(x[i] * 0.693147180559945309F);
#endif
}

/// log2(x) for positive normal x, absolute error below 2e-7. NaN in, NaN out.
HADAL_INLINE Vec log2_of(Vec x) {
  const VecI bits = reinterpret_cast<VecI>(x);
  const VecI exponent = (bits - 0x3F3504F3) >> 23;  // x = 2^exponent * m, sqrt(1/2) <= m < sqrt(2)
  const Vec f = reinterpret_cast<Vec>(bits - (exponent << 23)) - 1.0F;
  // log(1 + f) = f - f^2 / 2 + f^3 P(f)
  Vec p = splat(7.0376836292E-2F);
  p = fma(p, f, splat(-1.1514610310E-1F));
  p = fma(p, f, splat(1.1676998740E-1F));
  p = fma(p, f, splat(-1.2420140846E-1F));
  p = fma(p, f, splat(1.4249322787E-1F));
  p = fma(p, f, splat(-1.6668057665E-1F));
  p = fma(p, f, splat(2.0000714765E-1F));
  p = fma(p, f, splat(-2.4999993993E-1F));
  p = fma(p, f, splat(3.3333331174E-1F));
  const Vec square = f * f;
  const Vec log = fma(square * f, p, fma(square, splat(-0.5F), f));
  return fma(log, splat(1.44269504088896341F), __builtin_convertvector(exponent, Vec)) + (x - x);
}

HADAL_INLINE VecI lane_numbers() {
#if defined(HADAL_ISA_IS_avx512)
  return VecI{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(HADAL_ISA_IS_avx2)
  return VecI{0, 1, 2, 3, 4, 5, 6, 7};
#else
  return VecI{0, 1, 2, 3};
#endif
}

/// v where lane + first_lane >= threshold, else 0.
HADAL_INLINE Vec keep_from(Vec v, index_t first_lane, index_t threshold) {
  const VecI keep = lane_numbers() >= static_cast<std::int32_t>(threshold - first_lane);
  return reinterpret_cast<Vec>(reinterpret_cast<VecI>(v) & keep);
}

/// p[m][v] = 2^(c * acc[m][v] - shift[v]), 0 where the lane does not see the key. threshold: of key 0; `group` more for
/// each further key.
template <class W, int kFirst, bool kMasked>
HADAL_INLINE void weights_of(Vec (&p)[kTileKeys][kQueryVecs], const Vec (&acc)[kTileKeys][kQueryVecs - kFirst],
                             const float* shift, float c, index_t threshold, index_t group) {
  constexpr int kBatch = kTileKeys / 2;
#pragma GCC unroll 8
  for (int v = kFirst; v < kQueryVecs; ++v) {
    const Vec minus = -load(shift + v * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kTileKeys; m += kBatch) {
      Vec x[kBatch];
#pragma GCC unroll 8
      for (int i = 0; i < kBatch; ++i) x[i] = fma(acc[m + i][v - kFirst], broadcast(c), minus);
      exp2_all<W>(x);
#pragma GCC unroll 8
      for (int i = 0; i < kBatch; ++i)
        p[m + i][v] = kMasked ? keep_from(x[i], v * kLanes, threshold + (m + i) * group) : x[i];
    }
  }
}

/// Writes p[m][v], the tile of kTileKeys keys, as words along the keys: to[key / kPair][query]. Only vectors kFirst and
/// up.
template <class W, int kFirst>
HADAL_INLINE void store_by_query(float* to, const Vec (&p)[kTileKeys][kQueryVecs]) {
#pragma GCC unroll 8
  for (int v = kFirst; v < kQueryVecs; ++v) {
    if constexpr (W::kPair == 1) {
#pragma GCC unroll 8
      for (int m = 0; m < kTileKeys; ++m) store(to + m * kQueryLanes + v * kLanes, p[m][v]);
    } else {
#pragma GCC unroll 8
      for (int m = 0; m < kTileKeys; m += 2) {
        // Nearest; ties away from zero, which costs less than ties to even and is as unbiased here.
        const VecU low = (reinterpret_cast<VecU>(p[m][v]) + 0x8000U) >> 16;
        const VecU high = (reinterpret_cast<VecU>(p[m + 1][v]) + 0x8000U) & 0xFFFF0000U;
        store(to + (m / 2) * kQueryLanes + v * kLanes, reinterpret_cast<Vec>(low | high));
      }
    }
  }
}

#endif  // HADAL_KERNELS_CPU_ATTENTION_TILES_H_
