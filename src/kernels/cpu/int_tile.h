// Products of quantised rows with packed weights of 8 or 4 bits: a tile of a few rows x kIntPanel columns of the output
// over the whole reduced axis. Include inside the region that isa_begin.h opens.
//
// The packed panel is one stream: for each group of the reduced axis its codes, then the kIntPanel scales in f16. Codes
// are words of four values of a column, unsigned (code + kOffset): [words][kIntPanel]. With 4 bits the low halves of
// the bytes hold one word, the high halves the next one. The integers of a group are summed exactly; the sums, times
// both scales, are added up in f32 in the order of the groups, so a row's result does not depend on the rows beside it.
#ifndef HADAL_KERNELS_CPU_INT_TILE_H_
#define HADAL_KERNELS_CPU_INT_TILE_H_

#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/small_floats.h"
#include "kernels/int_group.h"

/// Columns of a packed panel.
inline constexpr int kIntPanel = 32;
inline constexpr int kIntVecs = kIntPanel / kLanes;
/// The rows of a full tile.
inline constexpr int kIntRows = kLanes == 16 ? 6 : 2;

template <DType kDType>
struct IntFormat {
  static constexpr index_t kGroup = group_size(kDType);
  static constexpr int kOffset = kDType == DType::kI4 ? 8 : 128;
  static constexpr index_t kCodeBytes = kGroup * kIntPanel * (kDType == DType::kI4 ? 1 : 2) / 2;
  static constexpr index_t kBlockBytes = kCodeBytes + kIntPanel * 2;
};

typedef std::uint8_t VecB __attribute__((vector_size(kLanes * 4)));

/// Quantised rows.
struct IntRows {
  const std::int8_t* codes = nullptr;  // [rows][groups * group]
  const float* scales = nullptr;       // [rows][groups]
  const std::int32_t* sums = nullptr;  // [rows][groups]: of the codes
  index_t groups = 0, group = 0;
  IntRows from(index_t row) const {
    return {codes + row * groups * group, scales + row * groups, sums + row * groups, groups, group};
  }
};

/// sum + the four products of each lane. w: unsigned codes; x: four signed codes, the same for all lanes.
template <int kOffset>
HADAL_INLINE VecI dot_codes(VecI sum, VecB w, std::int32_t x) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<VecI>(
      _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(w), _mm512_set1_epi32(x)));
#elif defined(HADAL_ISA_IS_avx2)
  // |x| times w with the sign of x: no pair of products leaves 16 bits.
  const __m256i all = _mm256_set1_epi32(x);
  const __m256i signed_w = _mm256_sub_epi8(reinterpret_cast<__m256i>(w), _mm256_set1_epi8(static_cast<char>(kOffset)));
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(all), _mm256_sign_epi8(signed_w, all));
  return sum + reinterpret_cast<VecI>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#else
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < 4; ++i)
      sum[lane] += (w[lane * 4 + i] - kOffset) * static_cast<std::int8_t>(static_cast<std::uint32_t>(x) >> (8 * i));
  return sum;
#endif
}
/// What unsigned codes add to a group's sum.
HADAL_INLINE std::int32_t start_of_sum([[maybe_unused]] std::int32_t sum_of_x, [[maybe_unused]] int offset) {
#if defined(HADAL_ISA_IS_avx512)
  return -offset * sum_of_x;
#else
  return 0;
#endif
}

HADAL_INLINE VecB load_bytes(const std::byte* p) {
  VecB v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// With few rows the weights come from memory: they are asked for so far ahead.
inline constexpr index_t kPrefetch = 4096;

template <DType kDType, int kRows>
void multiply_int_tile(const Tile& t, const IntRows& x, const std::byte* panel) {
  using F = IntFormat<kDType>;
  Vec acc[kRows][kIntVecs] = {};
  const std::int8_t* codes = x.codes;
  const index_t stride = x.groups * F::kGroup;
  for (index_t g = 0; g < x.groups; ++g, panel += F::kBlockBytes, codes += F::kGroup) {
    VecI sum[kRows][kIntVecs];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kIntVecs; ++v) sum[r][v] = VecI{} + start_of_sum(x.sums[r * x.groups + g], F::kOffset);
    const auto word_of = [&](int r, index_t word) {
      std::int32_t bits;
      __builtin_memcpy(&bits, codes + r * stride + word * 4, 4);
      return bits;
    };
    if constexpr (kDType == DType::kI4) {
      for (index_t word = 0; word < F::kGroup / 4; word += 2) {
        VecB low[kIntVecs], high[kIntVecs];
#pragma GCC unroll 8
        for (int v = 0; v < kIntVecs; ++v) {
          const std::byte* from = panel + (word / 2 * kIntPanel + v * kLanes) * 4;
          if constexpr (kRows < kIntRows) __builtin_prefetch(from + kPrefetch);
          const VecB both = load_bytes(from);
          low[v] = both & 0xF;
          high[v] = reinterpret_cast<VecB>(reinterpret_cast<VecU>(both) >> 4) & 0xF;
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const std::int32_t first = word_of(r, word), second = word_of(r, word + 1);
#pragma GCC unroll 8
          for (int v = 0; v < kIntVecs; ++v) sum[r][v] = dot_codes<F::kOffset>(sum[r][v], low[v], first);
#pragma GCC unroll 8
          for (int v = 0; v < kIntVecs; ++v) sum[r][v] = dot_codes<F::kOffset>(sum[r][v], high[v], second);
        }
      }
    } else {
      for (index_t word = 0; word < F::kGroup / 4; ++word) {
        VecB w[kIntVecs];
#pragma GCC unroll 8
        for (int v = 0; v < kIntVecs; ++v) {
          const std::byte* from = panel + (word * kIntPanel + v * kLanes) * 4;
          if constexpr (kRows < kIntRows) __builtin_prefetch(from + kPrefetch);
          w[v] = load_bytes(from);
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const std::int32_t four = word_of(r, word);
#pragma GCC unroll 8
          for (int v = 0; v < kIntVecs; ++v) sum[r][v] = dot_codes<F::kOffset>(sum[r][v], w[v], four);
        }
      }
    }
    const auto* scales = reinterpret_cast<const f16*>(panel + F::kCodeBytes);
#pragma GCC unroll 8
    for (int v = 0; v < kIntVecs; ++v) {
      const Vec w_scale = load(scales + v * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
        acc[r][v] = fma(__builtin_convertvector(sum[r][v], Vec), w_scale * x.scales[r * x.groups + g], acc[r][v]);
    }
  }
  finish<false>(t, acc);
}

using IntTileFunction = void (*)(const Tile&, const IntRows&, const std::byte*);

/// The kernel for `rows` in [1, kIntRows].
template <DType kDType>
IntTileFunction int_tile_function(index_t rows) {
  if constexpr (kIntRows == 6) {
    static constexpr IntTileFunction kFunctions[] = {multiply_int_tile<kDType, 1>, multiply_int_tile<kDType, 2>,
                                                     multiply_int_tile<kDType, 3>, multiply_int_tile<kDType, 4>,
                                                     multiply_int_tile<kDType, 5>, multiply_int_tile<kDType, 6>};
    return kFunctions[rows - 1];
  } else {
    return rows == 1 ? multiply_int_tile<kDType, 1> : multiply_int_tile<kDType, 2>;
  }
}

#endif  // HADAL_KERNELS_CPU_INT_TILE_H_
