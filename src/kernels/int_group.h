#pragma once
// Weights as integers of 8 or 4 bits in groups along a row, each with a scale in f16; rows of activations as integers
// of 8 bits in the same groups, each with a scale in f32. Plain functions that every instruction set shares, so that
// all of them multiply the same codes.
#include <cmath>
#include <span>

#include "tensor/dtype.h"

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

/// codes = nearest(x / scale) in [low, high]; gives back the scale.
inline void encode_group(std::span<std::int8_t> codes, std::span<const float> x, float scale, int low, int high) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float steps = scale == 0 ? 0 : std::nearbyint(x[i] / scale);
    codes[i] = static_cast<std::int8_t>(std::fmin(std::fmax(steps, static_cast<float>(low)), static_cast<float>(high)));
  }
}

/// Codes of 8 bits, -127 to 127; scale = max |x| / 127, in f16.
inline float quantize_group_i8(std::span<std::int8_t> codes, std::span<const float> x) {
  float top = 0;
  for (const float v : x) top = std::fmax(top, std::fabs(v));
  const float scale = round_to_f16(top / 127);
  encode_group(codes, x, scale, -127, 127);
  return scale;
}

/// Codes of 4 bits, -8 to 7. The value farthest from zero becomes -8; then the scale that fits these codes best in
/// least squares replaces the first one, if it makes the error smaller.
inline float quantize_group_i4(std::span<std::int8_t> codes, std::span<const float> x) {
  float far = 0;
  for (const float v : x)
    if (std::fabs(v) > std::fabs(far)) far = v;
  const auto error_of = [&](std::span<const std::int8_t> q, float scale) {
    float sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - q[i] * scale) * (x[i] - q[i] * scale);
    return sum;
  };
  float scale = round_to_f16(far / -8);
  encode_group(codes, x, scale, -8, 7);
  float xq = 0, qq = 0;
  for (std::size_t i = 0; i < x.size(); ++i) xq += x[i] * codes[i], qq += static_cast<float>(codes[i] * codes[i]);
  if (qq == 0) return scale;
  const float fitted = round_to_f16(xq / qq);
  std::int8_t again[32] = {};
  encode_group({again, x.size()}, x, fitted, -8, 7);
  if (error_of({again, x.size()}, fitted) < error_of(codes, scale)) {
    scale = fitted;
    for (std::size_t i = 0; i < x.size(); ++i) codes[i] = again[i];
  }
  return scale;
}

/// Activations: code = nearest(x * inverse_scale(max |x|)), scale = max |x| / 127; groups of next to nothing are zero.
inline float inverse_scale(float most) {
  return most > 1e-30F ? 127 / most : 0;
}

inline float quantize_group(DType dtype, std::span<std::int8_t> codes, std::span<const float> x) {
  return dtype == DType::kI4 ? quantize_group_i4(codes, x) : quantize_group_i8(codes, x);
}

}  // namespace hadal::kernels
