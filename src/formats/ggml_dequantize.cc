#include "formats/ggml_dequantize.h"

#include <cstring>

#include "base/error.h"
#include "tensor/dtype.h"

namespace hadal {
namespace {

std::uint8_t byte_at(const std::byte* p, index_t i) {
  return static_cast<std::uint8_t>(p[i]);
}
float f16_at(const std::byte* p, index_t offset) {
  f16 v;
  std::memcpy(&v, p + offset, sizeof v);
  return to_f32(v);
}

/// Blocks of 32 values with 4 or 5 bits: [scale][minimum][bits 4 of all][halves], kOffset below zero where there is no
/// minimum. Value j is in the low half of byte j, value j + 16 in the high one.
template <bool kMinimum, bool kFifthBit>
void small_block(float* to, const std::byte* p) {
  const float scale = f16_at(p, 0), minimum = kMinimum ? f16_at(p, 2) : 0;
  p += kMinimum ? 4 : 2;
  std::uint32_t fifth = 0;
  if (kFifthBit) {
    std::memcpy(&fifth, p, 4);
    p += 4;
  }
  constexpr int kZero = kMinimum ? 0 : kFifthBit ? 16 : 8;
  for (int j = 0; j < 16; ++j) {
    const int low = (byte_at(p, j) & 0xF) | static_cast<int>(((fifth >> j) & 1U) << 4);
    const int high = (byte_at(p, j) >> 4) | static_cast<int>(((fifth >> (j + 16)) & 1U) << 4);
    to[j] = static_cast<float>(low - kZero) * scale + minimum;
    to[j + 16] = static_cast<float>(high - kZero) * scale + minimum;
  }
}

/// Scale and minimum of sub-block j of Q4_K and Q5_K: 6 bits each, packed into 12 bytes.
void scale_and_minimum(const std::byte* p, int j, int& scale, int& minimum) {
  if (j < 4) {
    scale = byte_at(p, j) & 63, minimum = byte_at(p, j + 4) & 63;
  } else {
    scale = (byte_at(p, j + 4) & 0xF) | ((byte_at(p, j - 4) >> 6) << 4);
    minimum = (byte_at(p, j + 4) >> 4) | ((byte_at(p, j) >> 6) << 4);
  }
}

/// 256 values: [d][dmin][12 bytes of scales][32 bytes of fifth bits][128 bytes of halves].
template <bool kFifthBit>
void k_block(float* to, const std::byte* p) {
  const float d = f16_at(p, 0), dmin = f16_at(p, 2);
  const std::byte* scales = p + 4;
  const std::byte* fifth = p + 16;
  const std::byte* halves = fifth + (kFifthBit ? 32 : 0);
  for (int part = 0; part < 8; ++part, to += 32) {
    int scale, minimum;
    scale_and_minimum(scales, part, scale, minimum);
    for (int l = 0; l < 32; ++l) {
      const int byte = byte_at(halves, part / 2 * 32 + l);
      int code = part % 2 == 0 ? byte & 0xF : byte >> 4;
      if (kFifthBit) code |= ((byte_at(fifth, l) >> part) & 1) << 4;
      to[l] = d * static_cast<float>(scale) * static_cast<float>(code) - dmin * static_cast<float>(minimum);
    }
  }
}

/// 256 values of 6 bits: [128 bytes of low halves][64 bytes of the upper two bits][16 scales][d].
void q6_k_block(float* to, const std::byte* p) {
  const float d = f16_at(p, 208);
  for (int half = 0; half < 2; ++half, to += 128) {
    const std::byte* low = p + half * 64;
    const std::byte* high = p + 128 + half * 32;
    const std::byte* scales = p + 192 + half * 8;
    // A loop for each shift and scale, so that it becomes one of vectors.
    for (int quarter = 0; quarter < 4; ++quarter)
      for (int first = 0; first < 32; first += 16) {
        const auto step = static_cast<std::int8_t>(byte_at(scales, quarter * 2 + first / 16));
        const float scale = d * static_cast<float>(step);
        const int low_shift = quarter < 2 ? 0 : 4, high_shift = 2 * quarter;
        for (int l = first; l < first + 16; ++l) {
          const int code =
              ((byte_at(low, quarter % 2 * 32 + l) >> low_shift) & 0xF) | (((byte_at(high, l) >> high_shift) & 3) << 4);
          to[quarter * 32 + l] = scale * static_cast<float>(code - 32);
        }
      }
  }
}

void q8_0_block(float* to, const std::byte* p) {
  const float d = f16_at(p, 0);
  const auto* codes = reinterpret_cast<const std::int8_t*>(p + 2);
  for (int j = 0; j < 32; ++j) to[j] = d * static_cast<float>(codes[j]);
}

template <class T>
void plain(float* to, const std::byte* from, index_t count) {
  for (index_t i = 0; i < count; ++i) {
    T v;
    std::memcpy(&v, from + i * static_cast<index_t>(sizeof v), sizeof v);
    if constexpr (std::is_same_v<T, float>)
      to[i] = v;
    else
      to[i] = to_f32(v);
  }
}

using BlockFunction = void (*)(float*, const std::byte*);
BlockFunction block_function(GgmlType type) {
  switch (type) {
    case GgmlType::kQ8_0:
      return q8_0_block;
    case GgmlType::kQ4_0:
      return small_block<false, false>;
    case GgmlType::kQ4_1:
      return small_block<true, false>;
    case GgmlType::kQ5_0:
      return small_block<false, true>;
    case GgmlType::kQ5_1:
      return small_block<true, true>;
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

bool can_dequantize(GgmlType type) {
  return type == GgmlType::kF32 || type == GgmlType::kF16 || type == GgmlType::kBF16 || block_function(type) != nullptr;
}

void ggml_dequantize(float* to, GgmlType type, const std::byte* from, index_t count) {
  if (type == GgmlType::kF32) return plain<float>(to, from, count);
  if (type == GgmlType::kF16) return plain<f16>(to, from, count);
  if (type == GgmlType::kBF16) return plain<bf16>(to, from, count);
  const BlockFunction block = block_function(type);
  const GgmlTypeInfo& info = ggml_type_info(type);
  HADAL_CHECK(block != nullptr, "ggml: no values can be read from ", info.name);
  HADAL_CHECK(count % info.block_values == 0, "ggml: ", count, " values of ", info.name, " are no whole blocks");
  for (index_t i = 0; i < count; i += info.block_values, from += info.block_bytes) block(to + i, from);
}

}  // namespace hadal
