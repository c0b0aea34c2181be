// How attention forward keeps its sums in range. Include inside the region that isa_begin.h opens.
#ifndef HADAL_KERNELS_CPU_ATTENTION_SOFTMAX_H_
#define HADAL_KERNELS_CPU_ATTENTION_SOFTMAX_H_

// While the sum of a query's weights 2^(x - shift) stays in this range nothing overflows and what underflows is below
// f32 rounding, so the shift stays as it is (zero at first) and the running maximum of the textbook is not needed.
inline constexpr float kMaxSum = 0x1p60F, kMinSum = 0x1p-60F;

struct MovedShift {
  float shift, factor;  // factor: for what was summed with the shift before
};
/// After a sum left its range: a shift that suits all keys so far. top: the largest score of the keys whose weights
/// were just added, log2 units; sum_before: the sum without them.
inline MovedShift moved_shift(float top, float shift, float sum_before, bool has_keys_before) {
  if (!has_keys_before) return {top, 1.0F};
  const float moved = std::max(top, shift + std::log2(sum_before));
  return {moved, std::exp2(shift - moved)};
}

#endif  // HADAL_KERNELS_CPU_ATTENTION_SOFTMAX_H_
