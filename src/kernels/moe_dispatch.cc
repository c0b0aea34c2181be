#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/moe_dispatch.h"

#include "kernels/table.h"

namespace hadal::kernels {

void dispatch_plan(Exec& ex, const DispatchPlan& plan, Mat<const int> index_TA, index_t num_experts) { fail("kernels: dispatch_plan is not there yet"); }
void dispatch_gather(Exec& ex, View y_SD, ConstView x_TD, const DispatchPlan& plan) { ex.kernels.dispatch_gather(ex, y_SD, x_TD, plan); }
void dispatch_gather_backward(Exec& ex, View dx_TD, ConstView dy_SD, const DispatchPlan& plan) { ex.kernels.dispatch_gather_backward(ex, dx_TD, dy_SD, plan); }
void combine(Exec& ex, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) { ex.kernels.combine(ex, y_TD, x_SD, weight_TA, plan); }
void combine_backward(Exec& ex, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) { ex.kernels.combine_backward(ex, dx_SD, dweight_TA, dy_TD, x_SD, weight_TA, plan); }

}  // namespace hadal::kernels
