#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {
namespace {

double value(double v) {
  return v;
}
double value(float v) {
  return v;
}
double value(bf16 v) {
  return to_f32(v);
}
void assign(double& to, double v) {
  to = v;
}
void assign(float& to, double v) {
  to = static_cast<float>(v);
}
void assign(bf16& to, double v) {
  to = to_bf16(static_cast<float>(v));
}

template <class T, class Angle>
void rotate(Heads x, std::span<const int> positions, Mat<const Angle> table, RopeStyle style, RopeDirection direction) {
  const index_t half = x.dim / 2;
  for (index_t t = 0; t < x.rows; ++t) {
    for (index_t h = 0; h < x.heads; ++h) {
      T* row = x.at<T>(t, h);
      for (index_t i = 0; i < half; ++i) {
        T& first = row[style == RopeStyle::kInterleaved ? 2 * i : i];
        T& second = row[style == RopeStyle::kInterleaved ? 2 * i + 1 : i + half];
        const double c = table(positions[static_cast<std::size_t>(t)], i);
        const double forward = table(positions[static_cast<std::size_t>(t)], i + half);
        const double s = direction == RopeDirection::kForward ? forward : -forward;
        const double a = value(first), b = value(second);
        assign(first, a * c - b * s);
        assign(second, a * s + b * c);
      }
    }
  }
}

}  // namespace

void rope(Exec&, Heads x, std::span<const int> positions, ConstView table, RopeStyle style, RopeDirection direction) {
  switch (x.dtype) {
    case DType::kF64:
      return rotate<double>(x, positions, table.as<double>(), style, direction);
    case DType::kF32:
      return rotate<float>(x, positions, table.as<float>(), style, direction);
    case DType::kBF16:
      return rotate<bf16>(x, positions, table.as<float>(), style, direction);
    default:
      fail("rope: not for ", dtype_name(x.dtype));
  }
}

}  // namespace hadal::kernels::ref
