#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {
namespace {

constexpr index_t kTile = 128;
constexpr float kLargest = 65024.0F;  // of E5M6: (2 - 2^-6) * 2^15

/// The code of value `col` of a row: two codes share three bytes, the first in the low bits.
std::uint16_t get_code(const std::uint8_t* row, index_t col) {
  const std::uint8_t* p = row + col / 2 * 3;
  return col % 2 == 0 ? static_cast<std::uint16_t>(p[0] | (p[1] & 0xF) << 8)
                      : static_cast<std::uint16_t>(p[1] >> 4 | p[2] << 4);
}
void set_code(std::uint8_t* row, index_t col, std::uint16_t code) {
  std::uint8_t* p = row + col / 2 * 3;
  if (col % 2 == 0) {
    p[0] = static_cast<std::uint8_t>(code);
    p[1] = static_cast<std::uint8_t>((p[1] & 0xF0) | code >> 8);
  } else {
    p[1] = static_cast<std::uint8_t>((p[1] & 0xF) | (code & 0xF) << 4);
    p[2] = static_cast<std::uint8_t>(code >> 4);
  }
}

}  // namespace

void e5m6_pack(Exec& /*ex*/, View packed, View scales, ConstView x) {
  const In in(x);
  for (index_t t = 0; t < x.rows; ++t) {
    auto* row = reinterpret_cast<std::uint8_t*>(packed.data + bytes_of(DType::kE5M6, t * packed.stride));
    for (index_t begin = 0; begin < x.cols; begin += kTile) {
      const index_t end = std::min(begin + kTile, x.cols);
      float top = 0;
      for (index_t c = begin; c < end; ++c) top = std::max(top, std::fabs(static_cast<float>(in(t, c))));
      top = std::min(top, std::numeric_limits<float>::max());
      // An empty tile takes 2^0; the floor keeps the scale and its inverse normal numbers.
      const ue8m0 scale = top == 0 ? ue8m0{127} : to_ue8m0_ceil(std::max(top / kLargest, 0x1p-126F));
      scales.as<ue8m0>()(t, begin / kTile) = scale;
      for (index_t c = begin; c < end; ++c) set_code(row, c, to_e5m6(static_cast<float>(in(t, c)) / to_f32(scale)));
    }
  }
}

void e5m6_unpack(Exec& /*ex*/, View y, ConstView packed, ConstView scales) {
  const Out out(y);
  for (index_t t = 0; t < y.rows; ++t) {
    const auto* row = reinterpret_cast<const std::uint8_t*>(packed.data + bytes_of(DType::kE5M6, t * packed.stride));
    for (index_t c = 0; c < y.cols; ++c)
      out.set(t, c, static_cast<double>(e5m6_to_f32(get_code(row, c)) * to_f32(scales.as<ue8m0>()(t, c / kTile))));
  }
}

}  // namespace hadal::kernels::ref
