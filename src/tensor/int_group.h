#pragma once
// Symmetric integers in groups: value = code * scale, one scale for each group. The exact conversions, one group at a
// time; kernels that quantise whole tensors give the same codes.
#include <cstdint>
#include <span>

namespace hadal {

inline constexpr int kLargestI8 = 127, kLargestI4 = 7;  // -128 and -8 are not used

/// Two codes share a byte, the first in the low half.
inline int get_i4(std::span<const std::uint8_t> packed, std::size_t i) {
  const int nibble = (packed[i / 2] >> (i % 2 * 4)) & 0xF;
  return nibble < 8 ? nibble : nibble - 16;
}
/// code in [-8, 7].
inline void set_i4(std::span<std::uint8_t> packed, std::size_t i, int code) {
  const unsigned shift = i % 2 * 4;
  packed[i / 2] =
      static_cast<std::uint8_t>((packed[i / 2] & ~(0xFU << shift)) | (static_cast<unsigned>(code) & 0xFU) << shift);
}

/// Fills `codes` with round(x / scale), ties to even, and returns scale = max |x| / 127 (of finite x; 0 for an empty or
/// all-zero group, whose codes are 0). Infinities take the largest code, NaN takes 0.
float quantize_i8(std::span<std::int8_t> codes, std::span<const float> x);
/// The same with 7 for 127. `packed` has (x.size() + 1) / 2 bytes.
float quantize_i4(std::span<std::uint8_t> packed, std::span<const float> x);

}  // namespace hadal
