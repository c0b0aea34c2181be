// Products of a few rows with a right operand whose columns lie along its rows (x w^T, as in decoding and in experts
// with few tokens): the right operand is rearranged in registers, because packing it would cost more than the product.
#ifndef HADAL_KERNELS_CPU_GEMM_DIRECT_H_
#define HADAL_KERNELS_CPU_GEMM_DIRECT_H_

#include "kernels/cpu/gemm_tile.h"

/// The most rows that a direct tile takes: they and a block of the right operand fill the registers.
inline constexpr index_t kDirectRows = 8;
/// Words of the reduced axis that a direct tile takes at a time.
inline constexpr index_t kDirectWords = 16;

#if defined(HADAL_ISA_IS_avx512)
/// out[kRows, 16] as multiply_tile, with the same chain of sums. `t.b`: row 0 of 16 rows of bf16 pairs, `b_stride`
/// bytes apart. t.words is a multiple of kDirectWords. `next_b`: where the following 16 rows begin.
template <int kRows>
void multiply_direct(const Tile& t, index_t b_stride, const std::byte* next_b) {
  Vec acc[kRows][1] = {};
  for (index_t k = 0; k < t.words; k += kDirectWords) {
    const std::byte* a = t.a + k * 4;
    const std::byte* b = t.b + k * 4;
#pragma GCC unroll 16
    for (int n = 0; n < kLanes; ++n)
      _mm_prefetch(reinterpret_cast<const char*>(next_b + k * 4 + n * b_stride), _MM_HINT_T1);
    // As in transpose_words: lane j of piece[r][q] holds words 4q..4q+3 of row 4j + r.
    __m512i piece[4][4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        const auto lane = [&](int j) {
          return _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + (4 * j + r) * b_stride + q * 16));
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
      const __m512i word[4] = {_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
                               _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)};
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r)
          acc[r][0] = dot<Bf16Pair>(broadcast_word<Bf16Pair>(a + r * t.a_stride + (4 * q + i) * 4),
                                    reinterpret_cast<Vec>(word[i]), acc[r][0]);
      }
    }
  }
  finish<false>(t, acc);
}

using DirectFunction = void (*)(const Tile&, index_t, const std::byte*);

/// The kernel for `rows` in [1, kDirectRows].
inline DirectFunction direct_function(index_t rows) {
  static constexpr DirectFunction kFunctions[] = {multiply_direct<1>, multiply_direct<2>, multiply_direct<3>,
                                                  multiply_direct<4>, multiply_direct<5>, multiply_direct<6>,
                                                  multiply_direct<7>, multiply_direct<8>};
  return kFunctions[rows - 1];
}
#endif

#endif  // HADAL_KERNELS_CPU_GEMM_DIRECT_H_
