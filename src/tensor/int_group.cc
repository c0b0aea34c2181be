#include "tensor/int_group.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal {
namespace {

float scale_of(std::span<const float> x, int largest) {
  float top = 0;
  for (const float v : x)
    if (std::isfinite(v)) top = std::max(top, std::fabs(v));
  return top / static_cast<float>(largest);
}

int code_of(float v, float scale, int largest) {
  if (std::isnan(v)) return 0;
  if (scale == 0) return std::isinf(v) ? (v > 0 ? largest : -largest) : 0;
  // A subnormal scale is rounded itself, so the quotient may lie beyond the largest code.
  const auto bound = static_cast<float>(largest);
  return static_cast<int>(std::nearbyint(std::clamp(v / scale, -bound, bound)));
}

}  // namespace

float quantize_i8(std::span<std::int8_t> codes, std::span<const float> x) {
  HADAL_CHECK(codes.size() == x.size(), "quantize_i8: ", codes.size(), " codes for ", x.size(), " values");
  const float scale = scale_of(x, kLargestI8);
  for (std::size_t i = 0; i < x.size(); ++i) codes[i] = static_cast<std::int8_t>(code_of(x[i], scale, kLargestI8));
  return scale;
}

float quantize_i4(std::span<std::uint8_t> packed, std::span<const float> x) {
  HADAL_CHECK(packed.size() == (x.size() + 1) / 2, "quantize_i4: ", packed.size(), " bytes for ", x.size(), " values");
  const float scale = scale_of(x, kLargestI4);
  std::fill(packed.begin(), packed.end(), std::uint8_t{0});
  for (std::size_t i = 0; i < x.size(); ++i) set_i4(packed, i, code_of(x[i], scale, kLargestI4));
  return scale;
}

}  // namespace hadal
