#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void dispatch_gather(Exec& ex, View y_SD, ConstView x_TD, const DispatchPlan& plan) { ref::dispatch_gather(ex, y_SD, x_TD, plan); }
void dispatch_gather_backward(Exec& ex, View dx_TD, ConstView dy_SD, const DispatchPlan& plan) { ref::dispatch_gather_backward(ex, dx_TD, dy_SD, plan); }
void combine(Exec& ex, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) { ref::combine(ex, y_TD, x_SD, weight_TA, plan); }
void combine_backward(Exec& ex, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) { ref::combine_backward(ex, dx_SD, dweight_TA, dy_TD, x_SD, weight_TA, plan); }

#include "kernels/cpu/isa_end.h"
