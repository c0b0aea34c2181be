#pragma once
// Weights as integers of 8 or 4 bits in groups along a row, each with a scale in f16; rows of activations as integers
// of 8 bits in the same groups, each with a scale in f32. Plain functions that every instruction set shares, so that
// all of them multiply the same codes.
#include <algorithm>
#include <cmath>

#include "tensor/dtype.h"
#include "tensor/lanes.h"

namespace hadal::kernels {

/// Values of a group. A row's last group is filled up with zeros.
constexpr index_t group_size(DType dtype) {
  return dtype == DType::kI4 ? 32 : 64;
}
constexpr index_t num_groups(DType dtype, index_t values) {
  return (values + group_size(dtype) - 1) / group_size(dtype);
}

inline float round_to_f16(float v) {
  return to_f32(to_f16(v));
}

// Eight floats at a time, in the vectors of whatever instruction set the caller is compiled for (tensor/lanes.h).
typedef float EightFloats __attribute__((vector_size(32)));
typedef std::int32_t EightInts __attribute__((vector_size(32)));
typedef std::int8_t EightCodes __attribute__((vector_size(8)));

[[gnu::always_inline]] inline EightFloats eight_floats(const float* x) {
  EightFloats v;
  __builtin_memcpy(&v, x, sizeof v);
  return v;
}

/// codes = nearest(x / scale), ties to even, in [low, high].
[[gnu::always_inline]] inline void encode_group(std::int8_t* codes, const float* x, std::size_t count, float scale,
                                                float low, float high) {
  if (scale == 0) return static_cast<void>(std::fill_n(codes, count, 0));
  for (std::size_t i = 0; i < count; i += 8) {
    EightFloats steps = eight_floats(x + i) / scale;
    steps = steps < high ? steps : EightFloats{} + high;
    steps = steps > low ? steps : EightFloats{} + low;
    const EightInts nearest = __builtin_convertvector(nearest_integer(steps), EightInts);
    const EightCodes eight = __builtin_convertvector(nearest, EightCodes);
    __builtin_memcpy(codes + i, &eight, sizeof eight);
  }
}

/// max |x|
[[gnu::always_inline]] inline float largest(const float* x, std::size_t count) {
  EightFloats top = {};
  for (std::size_t i = 0; i < count; i += 8) {
    const EightFloats v = reinterpret_cast<EightFloats>(reinterpret_cast<EightInts>(eight_floats(x + i)) & 0x7FFFFFFF);
    top = v > top ? v : top;
  }
  float most = 0;
  for (int lane = 0; lane < 8; ++lane) most = top[lane] > most ? top[lane] : most;
  return most;
}

/// Codes of 8 bits, -127 to 127; scale = max |x| / 127, in f16.
[[gnu::always_inline]] inline float quantize_group_i8(std::int8_t* codes, const float* x) {
  constexpr std::size_t kCount = group_size(DType::kI8);
  const float scale = round_to_f16(largest(x, kCount) / 127);
  encode_group(codes, x, kCount, scale, -127, 127);
  return scale;
}

/// Codes of 4 bits, -8 to 7. The value farthest from zero becomes -8; then the scale that fits these codes best in
/// least squares replaces the first one, if it makes the error smaller.
[[gnu::always_inline]] inline float quantize_group_i4(std::int8_t* codes, const float* x) {
  constexpr std::size_t kCount = group_size(DType::kI4);
  const float most = largest(x, kCount);
  float far = 0;
  for (std::size_t i = kCount; i-- > 0;) far = std::fabs(x[i]) == most ? x[i] : far;  // the first of equals
  const auto error_of = [&](const std::int8_t* q, float scale) {
    return sum_in_lanes<kCount>([&](std::size_t i) {
      const float off = x[i] - static_cast<float>(q[i]) * scale;
      return off * off;
    });
  };
  const float scale = round_to_f16(far / -8);
  encode_group(codes, x, kCount, scale, -8, 7);
  const float xq = sum_in_lanes<kCount>([&](std::size_t i) { return x[i] * static_cast<float>(codes[i]); });
  const float qq = sum_in_lanes<kCount>([&](std::size_t i) { return static_cast<float>(codes[i] * codes[i]); });
  if (qq == 0) return scale;
  const float fitted = round_to_f16(xq / qq);
  std::int8_t again[kCount];
  encode_group(again, x, kCount, fitted, -8, 7);
  if (!(error_of(again, fitted) < error_of(codes, scale))) return scale;
  for (std::size_t i = 0; i < kCount; ++i) codes[i] = again[i];
  return fitted;
}

/// Activations: code = nearest(x * inverse_scale(max |x|)), scale = max |x| / 127; groups of next to nothing are zero.
inline float inverse_scale(float most) {
  return most > 1e-30F ? 127 / most : 0;
}

/// A whole group: what is beyond the end of a row is zero.
[[gnu::always_inline]] inline float quantize_group(DType dtype, std::int8_t* codes, const float* x) {
  return dtype == DType::kI4 ? quantize_group_i4(codes, x) : quantize_group_i8(codes, x);
}

}  // namespace hadal::kernels
