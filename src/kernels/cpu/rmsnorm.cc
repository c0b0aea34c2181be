#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void rmsnorm_forward(Exec& ex, View y_TD, View rstd_T, ConstView x_TD, ConstView gain_D, float eps) { ref::rmsnorm_forward(ex, y_TD, rstd_T, x_TD, gain_D, eps); }
void rmsnorm_backward(Exec& ex, View dx_TD, View dgain_D, ConstView dy_TD, ConstView x_TD, ConstView gain_D, ConstView rstd_T, Write write) { ref::rmsnorm_backward(ex, dx_TD, dgain_D, dy_TD, x_TD, gain_D, rstd_T, write); }

#include "kernels/cpu/isa_end.h"
