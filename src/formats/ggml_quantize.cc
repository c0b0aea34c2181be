#include "formats/ggml_quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/lanes.h"

namespace hadal {
namespace {

using Block = std::array<std::uint8_t, 256>;

float put_f16(std::byte* to, float v) {
  const f16 stored = to_f16(v);
  std::memcpy(to, &stored, sizeof stored);
  return to_f32(stored);
}
void put_byte(std::byte* to, int v) {
  *to = static_cast<std::byte>(v);
}

/// nearest(x * inverse), ties to even, in [low, high]; NaN becomes `low`. No calls and no branches: the searches below
/// try about twenty scales for every value of a model.
inline float steps_of(float x, float inverse, float low, float high) {
  float steps = x * inverse;
  steps = steps > low ? steps : low;
  steps = steps < high ? steps : high;
  return nearest_integer(steps);
}
int code_of(float x, float inverse, int low, int high) {
  return static_cast<int>(steps_of(x, inverse, static_cast<float>(low), static_cast<float>(high)));
}
float inverse_of(float scale) {
  return scale == 0 ? 0 : 1 / scale;
}

/// The scale s of codes q in [low, high], low = -(high + 1), for which sum (x - s q)^2 is smallest, among candidates.
/// The value farthest from zero is near `low`, the longer end; so s may be negative.
template <std::size_t kCount>
float search_scale(const float* x, float low, float high) {
  float far = 0;
  for (std::size_t i = 0; i < kCount; ++i)
    if (std::fabs(x[i]) > std::fabs(far)) far = x[i];
  if (std::fabs(far) < 1e-30F) return 0;
  float best = 0, most = 0;
  for (int step = -9; step <= 9; ++step) {
    const float inverse = (low + 0.1F * static_cast<float>(step)) / far;
    float q[kCount];
    for (std::size_t i = 0; i < kCount; ++i) q[i] = steps_of(x[i], inverse, low, high);
    const float xq = sum_in_lanes<kCount>([&](std::size_t i) { return x[i] * q[i]; });
    const float qq = sum_in_lanes<kCount>([&](std::size_t i) { return q[i] * q[i]; });
    // With s = xq / qq the error is sum x^2 - xq^2 / qq.
    if (qq > 0 && xq * xq > most * qq) most = xq * xq / qq, best = xq / qq;
  }
  return best;
}

/// x = scale * code - minimum, codes in [0, high], scale and minimum not negative.
struct Affine {
  float scale = 0, minimum = 0;
};
Affine search_affine(const float* x, float high) {
  constexpr std::size_t kCount = 32;
  const auto [least, largest] = std::ranges::minmax(std::span(x, kCount));
  const float low = std::min(least, 0.0F), range = largest - low;
  if (!(range > 1e-30F)) return {0, -low};
  constexpr float n = kCount;
  const float sum_x = sum_in_lanes<kCount>([&](std::size_t i) { return x[i]; });
  float best_error = INFINITY;
  Affine best;
  for (int step = -10; step <= 10; ++step) {
    const float inverse = (high + 0.1F * static_cast<float>(step)) / range;
    float q[kCount];
    for (std::size_t i = 0; i < kCount; ++i) q[i] = steps_of(x[i] - low, inverse, 0, high);
    const float sum_q = sum_in_lanes<kCount>([&](std::size_t i) { return q[i]; });
    const float qq = sum_in_lanes<kCount>([&](std::size_t i) { return q[i] * q[i]; });
    const float xq = sum_in_lanes<kCount>([&](std::size_t i) { return x[i] * q[i]; });
    const float determinant = n * qq - sum_q * sum_q;
    Affine fit{0, -1};
    if (determinant > 0) fit = {(n * xq - sum_x * sum_q) / determinant, -(qq * sum_x - sum_q * xq) / determinant};
    if (fit.minimum < 0) fit = {qq > 0 ? xq / qq : 0, 0};  // also where all codes are equal
    const float error = sum_in_lanes<kCount>([&](std::size_t i) {
      const float off = x[i] - (fit.scale * q[i] - fit.minimum);
      return off * off;
    });
    if (fit.scale > 0 && error < best_error) best_error = error, best = fit;
  }
  return best;
}

void q8_0_block(std::byte* to, std::span<const float> x) {
  float most = 0;
  for (const float v : x) most = std::max(most, std::fabs(v));
  put_f16(to, most / 127);
  const float inverse = most > 0 ? 127 / most : 0;
  for (std::size_t i = 0; i < x.size(); ++i) put_byte(to + 2 + i, code_of(x[i], inverse, -127, 127));
}

void q4_0_block(std::byte* to, std::span<const float> x) {
  const float inverse = inverse_of(put_f16(to, search_scale<32>(x.data(), -8, 7)));
  for (std::size_t i = 0; i < 16; ++i)
    put_byte(to + 2 + i, (code_of(x[i], inverse, -8, 7) + 8) | (code_of(x[i + 16], inverse, -8, 7) + 8) << 4);
}

/// Q4_K and Q5_K: layout in ggml_dequantize.cc.
template <bool kFifthBit>
void k_block(std::byte* to, std::span<const float> x) {
  constexpr int kHigh = kFifthBit ? 31 : 15;
  std::array<Affine, 8> parts;
  float most_scale = 0, most_minimum = 0;
  for (std::size_t j = 0; j < 8; ++j) {
    parts[j] = search_affine(x.data() + j * 32, kHigh);
    most_scale = std::max(most_scale, parts[j].scale);
    most_minimum = std::max(most_minimum, parts[j].minimum);
  }
  const float d = put_f16(to, most_scale / 63), dmin = put_f16(to + 2, most_minimum / 63);
  std::array<int, 8> scale{}, minimum{};
  Block code{};
  for (std::size_t j = 0; j < 8; ++j) {
    scale[j] = code_of(parts[j].scale, inverse_of(d), 0, 63);
    minimum[j] = code_of(parts[j].minimum, inverse_of(dmin), 0, 63);
    const float inverse = inverse_of(d * static_cast<float>(scale[j])), shift = dmin * static_cast<float>(minimum[j]);
    for (std::size_t i = j * 32; i < j * 32 + 32; ++i)
      code[i] = static_cast<std::uint8_t>(code_of(x[i] + shift, inverse, 0, kHigh));
  }
  for (std::size_t j = 0; j < 4; ++j) {  // 6 bits each: of the later four, the upper two bits stand with the first four
    put_byte(to + 4 + j, scale[j] | (scale[j + 4] >> 4) << 6);
    put_byte(to + 8 + j, minimum[j] | (minimum[j + 4] >> 4) << 6);
    put_byte(to + 12 + j, (scale[j + 4] & 0xF) | (minimum[j + 4] & 0xF) << 4);
  }
  std::byte* halves = to + 16;
  if constexpr (kFifthBit) {
    for (std::size_t l = 0; l < 32; ++l) {
      int bits = 0;
      for (std::size_t j = 0; j < 8; ++j) bits |= (code[j * 32 + l] >> 4) << j;
      put_byte(halves + l, bits);
    }
    halves += 32;
  }
  for (std::size_t pair = 0; pair < 4; ++pair)
    for (std::size_t l = 0; l < 32; ++l)
      put_byte(halves + pair * 32 + l, (code[pair * 64 + l] & 0xF) | (code[pair * 64 + 32 + l] & 0xF) << 4);
}

void q6_k_block(std::byte* to, std::span<const float> x) {
  std::array<float, 16> scale{};
  float far = 0;
  for (std::size_t j = 0; j < 16; ++j) {
    scale[j] = search_scale<16>(x.data() + j * 16, -32, 31);
    if (std::fabs(scale[j]) > std::fabs(far)) far = scale[j];
  }
  const float d = put_f16(to + 208, far / -128);
  Block code{};
  for (std::size_t j = 0; j < 16; ++j) {
    const int stored = code_of(scale[j], inverse_of(d), -128, 127);
    put_byte(to + 192 + j, stored);
    const float inverse = inverse_of(d * static_cast<float>(stored));
    for (std::size_t i = j * 16; i < j * 16 + 16; ++i)
      code[i] = static_cast<std::uint8_t>(code_of(x[i], inverse, -32, 31) + 32);
  }
  for (std::size_t half = 0; half < 2; ++half)
    for (std::size_t l = 0; l < 32; ++l) {
      const std::uint8_t* c = code.data() + half * 128 + l;
      put_byte(to + half * 64 + l, (c[0] & 0xF) | (c[64] & 0xF) << 4);
      put_byte(to + half * 64 + 32 + l, (c[32] & 0xF) | (c[96] & 0xF) << 4);
      put_byte(to + 128 + half * 32 + l, c[0] >> 4 | (c[32] >> 4) << 2 | (c[64] >> 4) << 4 | (c[96] >> 4) << 6);
    }
}

template <class T>
void plain(std::byte* to, const float* from, index_t count) {
  for (index_t i = 0; i < count; ++i) {
    T v{};
    if constexpr (std::is_same_v<T, f16>) v = to_f16(from[i]);
    if constexpr (std::is_same_v<T, bf16>) v = to_bf16(from[i]);
    std::memcpy(to + i * 2, &v, 2);
  }
}

using BlockFunction = void (*)(std::byte*, std::span<const float>);
BlockFunction block_function(GgmlType type) {
  switch (type) {
    case GgmlType::kQ8_0:
      return q8_0_block;
    case GgmlType::kQ4_0:
      return q4_0_block;
    case GgmlType::kQ4_K:
      return k_block<false>;
    case GgmlType::kQ5_K:
      return k_block<true>;
    case GgmlType::kQ6_K:
      return q6_k_block;
    default:
      return nullptr;
  }
}

}  // namespace

bool can_quantize(GgmlType type) {
  return type == GgmlType::kF32 || type == GgmlType::kF16 || type == GgmlType::kBF16 || block_function(type) != nullptr;
}

void ggml_quantize(std::byte* to, GgmlType type, const float* from, index_t count) {
  if (type == GgmlType::kF32) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * 4);
    return;
  }
  if (type == GgmlType::kF16) return plain<f16>(to, from, count);
  if (type == GgmlType::kBF16) return plain<bf16>(to, from, count);
  const BlockFunction block = block_function(type);
  const GgmlTypeInfo& info = ggml_type_info(type);
  HADAL_CHECK(block != nullptr, "ggml: no values can be written as ", info.name);
  HADAL_CHECK(count % info.block_values == 0, "ggml: ", count, " values as ", info.name, " are no whole blocks");
  for (index_t i = 0; i < count; i += info.block_values, to += info.block_bytes)
    block(to, {from + i, static_cast<std::size_t>(info.block_values)});
}

}  // namespace hadal
