#pragma once
// Weights as integers of 8 or 4 bits in groups along a row, each with a scale in f16; rows of activations as integers
// of 8 bits in the same groups, each with a scale in f32. Plain functions that every instruction set shares, so that
// all of them multiply the same codes.
#include <cstdint>

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

// Several floats at a time, in vectors of the length that the caller's instruction set has (4, 8 or 16: longer ones GCC
// would take apart). The order of sums, and so every bit, is the same for all: that of 16 lanes.
template <int kLanes>
struct Lanes {
  typedef float Floats __attribute__((vector_size(kLanes * 4)));
  typedef std::int32_t Ints __attribute__((vector_size(kLanes * 4)));
  typedef std::int8_t Codes __attribute__((vector_size(kLanes)));
};
template <int kLanes>
using FloatsOf = typename Lanes<kLanes>::Floats;

template <int kLanes>
[[gnu::always_inline]] inline FloatsOf<kLanes> load_floats(const float* x) {
  FloatsOf<kLanes> v;
  __builtin_memcpy(&v, x, sizeof v);
  return v;
}
template <class V>
[[gnu::always_inline]] inline V larger(V a, V b) {
  return a > b ? a : b;
}
/// All lanes as one: join(a, b) of lanes 8 apart, then 4, 2 and 1.
template <int kLanes, class Join>
[[gnu::always_inline]] inline float fold(FloatsOf<kLanes> v, Join join) {
  using I = typename Lanes<kLanes>::Ints;
  if constexpr (kLanes == 16) {
    v = join(v, __builtin_shuffle(v, I{8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7}));
    v = join(v, __builtin_shuffle(v, I{4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11}));
    v = join(v, __builtin_shuffle(v, I{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13}));
  } else if constexpr (kLanes == 8) {
    v = join(v, __builtin_shuffle(v, I{4, 5, 6, 7, 0, 1, 2, 3}));
    v = join(v, __builtin_shuffle(v, I{2, 3, 0, 1, 6, 7, 4, 5}));
  } else {
    v = join(v, __builtin_shuffle(v, I{2, 3, 0, 1}));
  }
  return join(v[0], v[1]);
}
template <int kLanes>
[[gnu::always_inline]] inline float largest_lane(FloatsOf<kLanes> v) {
  return fold<kLanes>(v, [](auto a, auto b) __attribute__((always_inline)) { return larger(a, b); });
}
/// sum of term(i), values from i on, for the vectors of kCount values.
template <int kLanes, index_t kCount, class Term>
[[gnu::always_inline]] inline float sum_of(Term term) {
  constexpr int kVectors = 16 / kLanes;
  FloatsOf<kLanes> sum[kVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    sum[j] = term(j * kLanes);
#pragma GCC unroll 2
    for (index_t i = 16; i < kCount; i += 16) sum[j] += term(i + j * kLanes);
  }
#pragma GCC unroll 2
  for (int half = kVectors / 2; half > 0; half /= 2)
#pragma GCC unroll 2
    for (int j = 0; j < half; ++j) sum[j] += sum[j + half];
  return fold<kLanes>(sum[0], [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
}

/// nearest(x / scale), ties to even, in [low, high]; inverse: of the scale.
template <class V>
[[gnu::always_inline]] inline V nearest_codes(V x, float inverse, float low, float high) {
  V steps = x * inverse;
  steps = steps < high ? steps : V{} + high;
  return nearest_integer(larger(steps, V{} + low));
}
[[gnu::always_inline]] inline float inverse_of(float scale) {
  return scale == 0 ? 0 : 1 / scale;
}
template <int kLanes>
[[gnu::always_inline]] inline void store_codes(std::int8_t* to, FloatsOf<kLanes> codes) {
  const auto bytes = __builtin_convertvector(__builtin_convertvector(codes, typename Lanes<kLanes>::Ints),
                                             typename Lanes<kLanes>::Codes);
  __builtin_memcpy(to, &bytes, sizeof bytes);
}

// Several groups of a row, step by step: a step of one group waits for the one before, steps of different groups do not
// wait for each other.
inline constexpr index_t kGroupsAtOnce = 8;

/// Codes of 8 bits, -127 to 127; scale = max |x| / 127, in f16.
template <int kLanes>
[[gnu::always_inline]] inline void quantize_groups_i8(std::int8_t* codes, float* scales, const float* x,
                                                      index_t groups) {
  using V = FloatsOf<kLanes>;
  constexpr index_t kCount = group_size(DType::kI8);
  for (index_t g = 0; g < groups; ++g) {
    V top = {};
#pragma GCC unroll 16
    for (index_t i = g * kCount; i < (g + 1) * kCount; i += kLanes) {
      const auto bits = reinterpret_cast<typename Lanes<kLanes>::Ints>(load_floats<kLanes>(x + i));
      top = larger(top, reinterpret_cast<V>(bits & 0x7FFFFFFF));
    }
    scales[g] = round_to_f16(largest_lane<kLanes>(top) / 127);
  }
  for (index_t g = 0; g < groups; ++g) {
    const float inverse = inverse_of(scales[g]);
#pragma GCC unroll 16
    for (index_t i = g * kCount; i < (g + 1) * kCount; i += kLanes)
      store_codes<kLanes>(codes + i, nearest_codes(load_floats<kLanes>(x + i), inverse, -127, 127));
  }
}

/// Codes of 4 bits, -8 to 7. The value farthest from zero (of equals, the negative one) becomes -8; then the scale that
/// fits these codes best in least squares replaces the first one, if it makes the error smaller.
template <int kLanes>
[[gnu::always_inline]] inline void quantize_groups_i4(std::int8_t* codes, float* scales, const float* x,
                                                      index_t groups) {
  using V = FloatsOf<kLanes>;
  constexpr index_t kCount = group_size(DType::kI4), kVectors = kCount / kLanes;
  V first[kGroupsAtOnce][kVectors];
  float fitted[kGroupsAtOnce];
  for (index_t g = 0; g < groups; ++g) {
    V high = load_floats<kLanes>(x + g * kCount), low = -high;
#pragma GCC unroll 16
    for (index_t i = 1; i < kVectors; ++i) {
      const V v = load_floats<kLanes>(x + g * kCount + i * kLanes);
      high = larger(high, v), low = larger(low, -v);
    }
    const float most = largest_lane<kLanes>(high), least = largest_lane<kLanes>(low);
    scales[g] = round_to_f16((most > least ? most : -least) / -8);
  }
  for (index_t g = 0; g < groups; ++g) {
    const float inverse = inverse_of(scales[g]);
    const auto value = [&](index_t i) { return load_floats<kLanes>(x + g * kCount + i); };
#pragma GCC unroll 16
    for (index_t i = 0; i < kVectors; ++i) first[g][i] = nearest_codes(value(i * kLanes), inverse, -8, 7);
    const float squares = sum_of<kLanes, kCount>([&](index_t i) {
      const V q = first[g][i / kLanes];
      return q * q;
    });
    const float products = sum_of<kLanes, kCount>([&](index_t i) { return value(i) * first[g][i / kLanes]; });
    fitted[g] = squares == 0 ? scales[g] : round_to_f16(products / squares);
  }
  for (index_t g = 0; g < groups; ++g) {
    const auto error_of = [&](const V(&q)[kVectors], float scale) {
      return sum_of<kLanes, kCount>([&](index_t i) {
        const V off = load_floats<kLanes>(x + g * kCount + i) - q[i / kLanes] * scale;
        return off * off;
      });
    };
    const float inverse = inverse_of(fitted[g]);
    V again[kVectors];
#pragma GCC unroll 16
    for (index_t i = 0; i < kVectors; ++i)
      again[i] = nearest_codes(load_floats<kLanes>(x + g * kCount + i * kLanes), inverse, -8, 7);
    const bool better = error_of(again, fitted[g]) < error_of(first[g], scales[g]);
    scales[g] = better ? fitted[g] : scales[g];
    const V(&chosen)[kVectors] = better ? again : first[g];
#pragma GCC unroll 16
    for (index_t i = 0; i < kVectors; ++i) store_codes<kLanes>(codes + g * kCount + i * kLanes, chosen[i]);
  }
}

/// Whole groups, at most kGroupsAtOnce: what is beyond the end of a row is zero.
template <int kLanes>
[[gnu::always_inline]] inline void quantize_groups(DType dtype, std::int8_t* codes, float* scales, const float* x,
                                                   index_t groups) {
  dtype == DType::kI4 ? quantize_groups_i4<kLanes>(codes, scales, x, groups)
                      : quantize_groups_i8<kLanes>(codes, scales, x, groups);
}

/// Activations: code = nearest(x * inverse_scale(max |x|)), scale = max |x| / 127; groups of next to nothing are zero.
inline float inverse_scale(float most) {
  return most > 1e-30F ? 127 / most : 0;
}

}  // namespace hadal::kernels
