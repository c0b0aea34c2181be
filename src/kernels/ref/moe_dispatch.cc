#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void dispatch_gather([[maybe_unused]] Exec& ex, View y_SD, ConstView x_TD, const DispatchPlan& plan) { fail("kernels: reference dispatch_gather is not there yet"); }
void dispatch_gather_backward([[maybe_unused]] Exec& ex, View dx_TD, ConstView dy_SD, const DispatchPlan& plan) { fail("kernels: reference dispatch_gather_backward is not there yet"); }
void combine([[maybe_unused]] Exec& ex, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) { fail("kernels: reference combine is not there yet"); }
void combine_backward([[maybe_unused]] Exec& ex, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) { fail("kernels: reference combine_backward is not there yet"); }

}  // namespace hadal::kernels::ref
