#pragma once
// Tokens to experts and back. A plan sorts the T * A choices by expert (stable in token order, so the result does not
// depend on threads); slots are rows of the sorted order.
#include "kernels/exec.h"

namespace hadal::kernels {

struct DispatchPlan {
  std::span<index_t> offsets;  // [E + 1] first slot of each expert
  std::span<int> token_of_S;   // token of each slot
  Mat<int> slot_TA;            // slot of each choice, -1: dropped
};

/// Fills `plan` (views of the right sizes: S = T * A). Choices with index -1 are dropped; S used = offsets[E].
void dispatch_plan(Exec& ex, const DispatchPlan& plan, Mat<const int> index_TA, index_t num_experts);
/// y_SD (=) x_TD[token_of_S]
void dispatch_gather(Exec& ex, View y_SD, ConstView x_TD, const DispatchPlan& plan);
/// dx_TD (+=) sum over a of dy_SD[slot_ta]: adjoint of dispatch_gather.
void dispatch_gather_backward(Exec& ex, View dx_TD, ConstView dy_SD, const DispatchPlan& plan);
/// y_TD (+=) sum over a of weight_ta * x_SD[slot_ta]
void combine(Exec& ex, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan);
/// dx_SD (=) weight_ta * dy_TD[t];  dweight_TA (=) dy_TD[t] . x_SD[slot_ta]
void combine_backward(Exec& ex, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA,
                      const DispatchPlan& plan);

}  // namespace hadal::kernels
