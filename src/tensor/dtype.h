#pragma once
// Number formats and their exact conversions, one value at a time. The vectorised conversions of whole tensors are in
// kernels/convert.h and give the same bits.
#include <bit>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/parallel.h"

namespace hadal {

enum class DType : std::uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kE4M3,
  kE5M2,
  kE5M6,
  kUE8M0,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kI4
};

/// Bits of one element. kE5M6 packs two values into three bytes, kI4 two into one.
constexpr int bits_of(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
      return 64;
    case DType::kF32:
    case DType::kI32:
      return 32;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16:
      return 16;
    case DType::kE5M6:
      return 12;
    case DType::kE4M3:
    case DType::kE5M2:
    case DType::kUE8M0:
    case DType::kI8:
    case DType::kU8:
      return 8;
    case DType::kI4:
      return 4;
  }
  fail("dtype: invalid value ", static_cast<int>(dtype));
}
/// "f32", "bf16", "e4m3" ...
std::string_view dtype_name(DType dtype);
/// Throws Error on an unknown name.
DType parse_dtype(std::string_view name);
/// Bytes of `count` elements that follow each other, rounded up.
inline index_t bytes_of(DType dtype, index_t count) {
  return (count * bits_of(dtype) + 7) / 8;
}

/// bfloat16: the upper half of a float.
struct bf16 {
  std::uint16_t bits;
};
/// IEEE half precision.
struct f16 {
  std::uint16_t bits;
};
/// 1+4+3 bits, bias 7, largest value 448, no infinity ("e4m3fn").
struct e4m3 {
  std::uint8_t bits;
};
/// 1+5+2 bits, bias 15, IEEE style infinity and NaN; largest finite value 57344.
struct e5m2 {
  std::uint8_t bits;
};
/// An exponent only: 2^(bits - 127); 255 is NaN.
struct ue8m0 {
  std::uint8_t bits;
};

inline float to_f32(bf16 v) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16);
}
float to_f32(f16 v);
float to_f32(e4m3 v);
float to_f32(e5m2 v);
float to_f32(ue8m0 v);
/// 1+5+6 bits in the low 12 bits, bias 15 (DeepSeek-V3 report 3.3.3); all ones in the exponent is inf/NaN as in IEEE.
float e5m6_to_f32(std::uint16_t bits);

/// Nearest, ties to even; NaN stays a (quiet) NaN.
inline bf16 to_bf16(float v) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(v);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}
/// An f32 as the bf16 nearest to it (ties away from zero) and the bits between them, which join_f32 needs to give the
/// f32 back exactly. As an optimizer keeps its master copy beside bf16 weights.
struct SplitF32 {
  bf16 value;
  std::int16_t rest;
};
inline SplitF32 split_f32(float v) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(v), rounded = (bits + 0x8000U) >> 16;
  return {{static_cast<std::uint16_t>(rounded)}, static_cast<std::int16_t>(bits - (rounded << 16))};
}
inline float join_f32(bf16 value, std::int16_t rest) {
  return std::bit_cast<float>((static_cast<std::uint32_t>(value.bits) << 16) + static_cast<std::uint32_t>(rest));
}

/// Nearest, ties to even; beyond 65504 + half a step infinity; NaN stays NaN.
f16 to_f16(float v);
/// Nearest, ties to even, saturating at the largest finite value; NaN stays NaN.
e4m3 to_e4m3(float v);
e5m2 to_e5m2(float v);
std::uint16_t to_e5m6(float v);
/// The smallest power of two >= v (v > 0), saturating.
ue8m0 to_ue8m0_ceil(float v);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<std::int16_t> {
  static constexpr DType value = DType::kI16;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<f16> {
  static constexpr DType value = DType::kF16;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<e4m3> {
  static constexpr DType value = DType::kE4M3;
};
template <>
struct DTypeOf<e5m2> {
  static constexpr DType value = DType::kE5M2;
};
template <>
struct DTypeOf<ue8m0> {
  static constexpr DType value = DType::kUE8M0;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<std::int8_t> {
  static constexpr DType value = DType::kI8;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::kU8;
};

}  // namespace hadal
