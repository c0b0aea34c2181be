#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/small_floats.h"

namespace {

constexpr index_t kTile = 128;
constexpr float kLargest = 65024.0F;  // of E5M6: (2 - 2^-6) * 2^15
constexpr std::uint64_t kFields = 0x0FFF0FFF0FFF0FFFULL;

/// Four codes of 16 bits to 48 bits and back, the first in the low bits.
HADAL_INLINE std::uint64_t squeeze(std::uint64_t codes) {
#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
  return _pext_u64(codes, kFields);
#else
  const std::uint64_t pairs = (codes & 0x00000FFF00000FFFULL) | ((codes >> 4) & 0x00FFF00000FFF000ULL);
  return (pairs & 0xFFFFFFULL) | ((pairs >> 8) & 0xFFFFFF000000ULL);
#endif
}
HADAL_INLINE std::uint64_t spread(std::uint64_t packed) {
#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
  return _pdep_u64(packed, kFields);
#else
  const std::uint64_t pairs = (packed & 0xFFFFFFULL) | ((packed & 0xFFFFFF000000ULL) << 8);
  return (pairs & 0x00000FFF00000FFFULL) | ((pairs & 0x00FFF00000FFF000ULL) << 4);
#endif
}

/// n codes, n even, at 12 bits each. The buffers of codes are kTile long.
void pack_codes(std::byte* to, const std::uint16_t* codes, index_t n) {
  std::uint64_t four = 0;
  for (; n >= 4; n -= 4, codes += 4, to += 6) {
    std::memcpy(&four, codes, 8);
    four = squeeze(four);
    std::memcpy(to, &four, 6);
  }
  if (n == 0) return;
  std::memcpy(&four, codes, 4);
  four = squeeze(four);
  std::memcpy(to, &four, 3);
}
void unpack_codes(std::uint16_t* codes, const std::byte* from, index_t n) {
  for (; n >= 4; n -= 4, codes += 4, from += 6) {
    // In two parts that meet in a register; meeting in memory would wait for the stores.
    std::uint32_t low = 0;
    std::uint16_t high = 0;
    std::memcpy(&low, from, 4);
    std::memcpy(&high, from + 4, 2);
    const std::uint64_t four = spread(low | static_cast<std::uint64_t>(high) << 32);
    std::memcpy(codes, &four, 8);
  }
  if (n == 0) return;
  std::uint64_t two = 0;
  std::memcpy(&two, from, 3);
  two = spread(two);
  std::memcpy(codes, &two, 4);
}

ue8m0 scale_of(float top) {
  top = std::min(top, std::numeric_limits<float>::max());
  // An empty tile takes 2^0; the floor keeps the scale and its inverse normal numbers.
  return top == 0 ? ue8m0{127} : to_ue8m0_ceil(std::max(top / kLargest, 0x1p-126F));
}

}  // namespace

void e5m6_pack(Exec& ex, View packed, View scales, ConstView x) {
  with_type(x.dtype, [&](auto type) {
    using X = typename decltype(type)::type;
    for_row_blocks(ex, x.rows, x.cols, [&](index_t begin, index_t end, int /*worker*/) {
      alignas(64) std::uint16_t codes[kTile];
      for (index_t t = begin; t < end; ++t) {
        std::byte* const to = packed.data + bytes_of(DType::kE5M6, t * packed.stride);
        for (index_t first = 0; first < x.cols; first += kTile) {
          const X* const from = row_of<X>(x, t) + first;
          const index_t n = std::min(kTile, x.cols - first);
          Vec top = {};
          for_vectors(n, [&](index_t i, auto lanes) { top = max(abs(load(from + i, lanes)), top); });
          const ue8m0 scale = scale_of(max_of(top));
          row_of<ue8m0>(scales, t)[first / kTile] = scale;
          const Vec inverse = splat(1.0F / to_f32(scale));  // exact: a power of two
          for_vectors(n, [&](index_t i, auto lanes) {
            const VecH c = __builtin_convertvector(E5M6::encode(load(from + i, lanes) * inverse), VecH);
            __builtin_memcpy(codes + i, &c, sizeof c);
          });
          pack_codes(to + first / 2 * 3, codes, n);
        }
      }
    });
  });
}

void e5m6_unpack(Exec& ex, View y, ConstView packed, ConstView scales) {
  with_type(y.dtype, [&](auto type) {
    using Y = typename decltype(type)::type;
    for_row_blocks(ex, y.rows, y.cols, [&](index_t begin, index_t end, int /*worker*/) {
      alignas(64) std::uint16_t codes[kTile];
      for (index_t t = begin; t < end; ++t) {
        const std::byte* const from = packed.data + bytes_of(DType::kE5M6, t * packed.stride);
        for (index_t first = 0; first < y.cols; first += kTile) {
          Y* const to = row_of<Y>(y, t) + first;
          const index_t n = std::min(kTile, y.cols - first);
          unpack_codes(codes, from + first / 2 * 3, n);
          const Vec scale = splat(to_f32(row_of<ue8m0>(scales, t)[first / kTile]));
          for_vectors(n, [&](index_t i, auto lanes) {
            store(to + i, load_codes<E5M6, std::uint16_t>(codes + i) * scale, lanes);
          });
        }
      }
    });
  });
}

#include "kernels/cpu/isa_end.h"
