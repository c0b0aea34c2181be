#include "kernels/rmsnorm.h"

#include "kernels/table.h"

namespace hadal::kernels {

void rmsnorm_forward(Exec& ex, View y_TD, View rstd_T, ConstView x_TD, ConstView gain_D, float eps) { ex.kernels.rmsnorm_forward(ex, y_TD, rstd_T, x_TD, gain_D, eps); }
void rmsnorm_backward(Exec& ex, View dx_TD, View dgain_D, ConstView dy_TD, ConstView x_TD, ConstView gain_D, ConstView rstd_T, Write write) { ex.kernels.rmsnorm_backward(ex, dx_TD, dgain_D, dy_TD, x_TD, gain_D, rstd_T, write); }

}  // namespace hadal::kernels
