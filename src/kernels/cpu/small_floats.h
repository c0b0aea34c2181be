// Formats of 8 to 16 bits as vectors, by integer arithmetic that is the same on all instruction sets and gives the bits
// of tensor/dtype.h. Include inside the region that isa_begin.h opens.
#ifndef HADAL_KERNELS_CPU_SMALL_FLOATS_H_
#define HADAL_KERNELS_CPU_SMALL_FLOATS_H_

#include "kernels/cpu/vec.h"

/// kIeee: the top exponent is infinity and NaN; otherwise only its last mantissa is NaN (E4M3). kSaturate: values
/// beyond the largest finite one become it; otherwise infinity.
template <int kExponentBits, int kMantissaBits, bool kIeee, bool kSaturate>
struct SmallFloat {
  static constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  static constexpr int kShift = 23 - kMantissaBits;
  static constexpr std::uint32_t kTop = ((1U << kExponentBits) - 1) << kMantissaBits;
  static constexpr std::uint32_t kMagnitude = (1U << (kExponentBits + kMantissaBits)) - 1;
  static constexpr std::uint32_t kLargest = kIeee ? kTop - 1 : kMagnitude - 1;
  static constexpr std::uint32_t kNan = kIeee ? kTop | (1U << (kMantissaBits - 1)) : kMagnitude;

  /// Codes in the low bits of each lane.
  HADAL_INLINE static VecU encode(Vec v) {
    const VecU bits = reinterpret_cast<VecU>(v);
    const VecU sign = (bits >> (31 - kExponentBits - kMantissaBits)) & (kMagnitude + 1);
    const VecU magnitude = bits & 0x7FFFFFFFU;
    const VecU normal = ((magnitude + ((1U << (kShift - 1)) - 1) + ((magnitude >> kShift) & 1U)) >> kShift) -
                        (static_cast<std::uint32_t>(127 - kBias) << kMantissaBits);
    // Below the smallest normal number: added to a power of two whose last bit is one step of the format, which rounds.
    constexpr std::uint32_t kMagic = static_cast<std::uint32_t>(127 + 24 - kBias - kMantissaBits) << 23;
    const VecU subnormal =
        reinterpret_cast<VecU>(reinterpret_cast<Vec>(magnitude) + std::bit_cast<float>(kMagic)) - kMagic;
    constexpr std::uint32_t kSmallestNormal = static_cast<std::uint32_t>(128 - kBias) << 23;
    VecU code = magnitude < kSmallestNormal ? subnormal : normal;
    code = code > kLargest ? VecU{} + (kSaturate || !kIeee ? kLargest : kTop) : code;
    code = magnitude > 0x7F800000U ? VecU{} + kNan : code;
    return code | sign;
  }
  HADAL_INLINE static Vec decode(VecU code) {
    const VecU sign = (code & (kMagnitude + 1)) << (31 - kExponentBits - kMantissaBits);
    const VecU magnitude = code & kMagnitude;
    constexpr std::uint32_t kPower = static_cast<std::uint32_t>(127 + 127 - kBias) << 23;
    VecU v = reinterpret_cast<VecU>(reinterpret_cast<Vec>(magnitude << kShift) * std::bit_cast<float>(kPower));
    if constexpr (kIeee) v = magnitude == kTop ? VecU{} + 0x7F800000U : v;
    v = magnitude > (kIeee ? kTop : kMagnitude - 1) ? VecU{} + 0x7FC00000U : v;
    return reinterpret_cast<Vec>(v | sign);
  }
};
using E4M3 = SmallFloat<4, 3, false, true>;
using E5M2 = SmallFloat<5, 2, true, true>;
using E5M6 = SmallFloat<5, 6, true, true>;
using F16 = SmallFloat<5, 10, true, false>;

/// Loads and stores of codes of width Code.
template <class Format, class Code>
HADAL_INLINE Vec load_codes(const void* p) {
  typedef Code VecC __attribute__((vector_size(kLanes * sizeof(Code))));
  VecC codes;
  __builtin_memcpy(&codes, p, sizeof codes);
  return Format::decode(__builtin_convertvector(codes, VecU));
}
template <class Format, class Code>
HADAL_INLINE void store_codes(void* p, Vec v) {
  typedef Code VecC __attribute__((vector_size(kLanes * sizeof(Code))));
  const VecC codes = __builtin_convertvector(Format::encode(v), VecC);
  __builtin_memcpy(p, &codes, sizeof codes);
}
HADAL_INLINE Vec load(const e4m3* p) {
  return load_codes<E4M3, std::uint8_t>(p);
}
HADAL_INLINE Vec load(const e5m2* p) {
  return load_codes<E5M2, std::uint8_t>(p);
}
HADAL_INLINE Vec load(const f16* p) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<Vec>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(HADAL_ISA_IS_avx2)
  return reinterpret_cast<Vec>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  return load_codes<F16, std::uint16_t>(p);
#endif
}
HADAL_INLINE void store(e4m3* p, Vec v) {
  store_codes<E4M3, std::uint8_t>(p, v);
}
HADAL_INLINE void store(e5m2* p, Vec v) {
  store_codes<E5M2, std::uint8_t>(p, v);
}
HADAL_INLINE void store(f16* p, Vec v) {
  store_codes<F16, std::uint16_t>(p, v);
}

#endif  // HADAL_KERNELS_CPU_SMALL_FLOATS_H_
