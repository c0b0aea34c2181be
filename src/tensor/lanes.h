#pragma once
// Loops over floats that become vectors without being written for one instruction set, and give the same bits on all.
// Inlined into the caller, so that they become vectors of what it is compiled for.
#include <cstddef>

namespace hadal {

/// The nearest integer of a float or of each of a vector, ties to even; |x| below 2^22. No call and no branch, unlike
/// std::nearbyint on old processors.
template <class T>
[[gnu::always_inline]] inline T nearest_integer(T x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves no bits behind the point
  return (x + kRound) - kRound;
}

/// sum of term(i) for i < kCount, in eight lanes.
template <std::size_t kCount, class Term>
[[gnu::always_inline]] inline float sum_in_lanes(Term term) {
  constexpr std::size_t kLanes = 8;
  static_assert(kCount % kLanes == 0);
  float sum[kLanes] = {};
  for (std::size_t i = 0; i < kCount; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum[lane] += term(i + lane);
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

}  // namespace hadal
