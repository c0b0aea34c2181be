#include "tensor/dtype.h"

#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace hadal {
namespace {

struct Info {
  DType dtype;
  std::string_view name;
};
constexpr std::array kInfo = {
    Info{DType::kF64, "f64"},   Info{DType::kF32, "f32"},   Info{DType::kF16, "f16"},   Info{DType::kBF16, "bf16"},
    Info{DType::kE4M3, "e4m3"}, Info{DType::kE5M2, "e5m2"}, Info{DType::kE5M6, "e5m6"}, Info{DType::kUE8M0, "ue8m0"},
    Info{DType::kI64, "i64"},   Info{DType::kI32, "i32"},   Info{DType::kI16, "i16"},   Info{DType::kI8, "i8"},
    Info{DType::kU8, "u8"},     Info{DType::kI4, "i4"},
};

const Info& info(DType dtype) {
  const auto i = static_cast<std::size_t>(dtype);
  HADAL_CHECK(i < kInfo.size() && kInfo[i].dtype == dtype, "dtype: invalid value ", i);
  return kInfo[i];
}

/// A small float with an IEEE layout as f32, except that `ieee` false keeps the top exponent for numbers (E4M3).
float decode(std::uint32_t bits, int exponent_bits, int mantissa_bits, bool ieee) {
  const std::uint32_t mantissa_mask = (1U << mantissa_bits) - 1;
  const std::uint32_t exponent_mask = (1U << exponent_bits) - 1;
  const bool negative = ((bits >> (exponent_bits + mantissa_bits)) & 1U) != 0;
  const std::uint32_t mantissa = bits & mantissa_mask;
  const std::uint32_t exponent = (bits >> mantissa_bits) & exponent_mask;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  float v = 0;
  if (exponent == exponent_mask && ieee)
    v = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  else if (exponent == exponent_mask && mantissa == mantissa_mask)
    v = std::numeric_limits<float>::quiet_NaN();
  else if (exponent == 0)
    v = std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissa_bits);
  else
    v = std::ldexp(static_cast<float>(mantissa | (1U << mantissa_bits)),
                   static_cast<int>(exponent) - bias - mantissa_bits);
  return negative ? -v : v;
}

/// Nearest, ties to even. saturate: values beyond the largest finite one become it; otherwise infinity (IEEE).
std::uint32_t encode(float v, int exponent_bits, int mantissa_bits, bool ieee, bool saturate) {
  const std::uint32_t sign = (std::bit_cast<std::uint32_t>(v) >> 31) << (exponent_bits + mantissa_bits);
  const std::uint32_t top = ((1U << exponent_bits) - 1) << mantissa_bits;
  if (std::isnan(v)) return sign | (ieee ? top | (1U << (mantissa_bits - 1)) : top | ((1U << mantissa_bits) - 1));
  const std::uint32_t largest = ieee ? top - 1 : top | ((1U << mantissa_bits) - 2);
  const float magnitude = std::fabs(v);
  const float limit = decode(largest, exponent_bits, mantissa_bits, ieee);
  if (magnitude > limit && saturate) return sign | largest;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  int exponent = magnitude == 0 ? 1 - bias : std::max(std::ilogb(magnitude), 1 - bias);
  if (std::isinf(v) || exponent > bias + 1) return sign | (ieee ? top : largest);
  // Steps of the format at this exponent; nearbyint rounds to even under the default rounding mode.
  const auto steps = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent)));
  // A carry out of the mantissa moves into the exponent by itself, because the fields are adjacent.
  const std::uint32_t code = steps + (static_cast<std::uint32_t>(exponent + bias - 1) << mantissa_bits);
  if (code > largest) return sign | (ieee && !saturate ? top : largest);
  return sign | code;
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  return info(dtype).name;
}
DType parse_dtype(std::string_view name) {
  for (const Info& i : kInfo)
    if (i.name == name) return i.dtype;
  fail("dtype: got \"", name, "\", want f64|f32|f16|bf16|e4m3|e5m2|e5m6|ue8m0|i64|i32|i8|u8|i4");
}

// Scales of groups are f16, read and written by the million: normal numbers only move their fields and the bias of the
// exponent, 15 or 127.
constexpr std::uint32_t kF16Bias = (127U - 15U) << 23;

float to_f32(f16 v) {
  const std::uint32_t bits = v.bits, magnitude = bits & 0x7FFFU;
  if (magnitude < 0x0400 || magnitude >= 0x7C00) return decode(bits, 5, 10, true);
  return std::bit_cast<float>((bits & 0x8000U) << 16 | ((magnitude << 13) + kF16Bias));
}
float to_f32(e4m3 v) {
  return decode(v.bits, 4, 3, false);
}
float to_f32(e5m2 v) {
  return decode(v.bits, 5, 2, true);
}
float e5m6_to_f32(std::uint16_t bits) {
  return decode(bits & 0xFFFU, 5, 6, true);
}
float to_f32(ue8m0 v) {
  return v.bits == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, static_cast<int>(v.bits) - 127);
}

f16 to_f16(float v) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude >= std::bit_cast<std::uint32_t>(0x1p-14F) && magnitude <= std::bit_cast<std::uint32_t>(65504.0F)) {
    const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);  // nearest, ties to even
    return {static_cast<std::uint16_t>((bits >> 16 & 0x8000U) | ((rounded - kF16Bias) >> 13))};
  }
  return {static_cast<std::uint16_t>(encode(v, 5, 10, true, false))};
}
e4m3 to_e4m3(float v) {
  return {static_cast<std::uint8_t>(encode(v, 4, 3, false, true))};
}
e5m2 to_e5m2(float v) {
  return {static_cast<std::uint8_t>(encode(v, 5, 2, true, true))};
}
std::uint16_t to_e5m6(float v) {
  return static_cast<std::uint16_t>(encode(v, 5, 6, true, true));
}
ue8m0 to_ue8m0_ceil(float v) {
  if (std::isnan(v)) return {255};
  if (!(v > 0)) return {0};
  if (std::isinf(v)) return {254};
  int exponent = 0;
  const float fraction = std::frexp(v, &exponent);  // v = fraction * 2^exponent, fraction in [0.5, 1)
  if (fraction == 0.5F) --exponent;
  const int code = exponent + 127;
  return {static_cast<std::uint8_t>(code < 0 ? 0 : code > 254 ? 254 : code)};
}

}  // namespace hadal
