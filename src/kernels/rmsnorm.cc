#include "kernels/rmsnorm.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {

void rmsnorm_forward(Exec& ex, View y_TD, View rstd_T, ConstView x_TD, ConstView gain_D, float eps) {
  constexpr const char* kName = "rmsnorm_forward";
  const bool f64 = x_TD.dtype == DType::kF64;
  check_activation(kName, "x", x_TD, x_TD.rows, x_TD.cols, f64);
  check_activation(kName, "y", y_TD, x_TD.rows, x_TD.cols, f64);
  check_activation(kName, "gain", gain_D, 1, x_TD.cols, f64);
  if (!rstd_T.empty()) check_statistic(kName, "rstd", rstd_T, 1, x_TD.rows, f64);
  ex.kernels.rmsnorm_forward(ex, y_TD, rstd_T, x_TD, gain_D, eps);
}

void rmsnorm_backward(Exec& ex, View dx_TD, View dgain_D, ConstView dy_TD, ConstView x_TD, ConstView gain_D,
                      ConstView rstd_T, Write write) {
  constexpr const char* kName = "rmsnorm_backward";
  const bool f64 = x_TD.dtype == DType::kF64;
  check_activation(kName, "x", x_TD, x_TD.rows, x_TD.cols, f64);
  check_activation(kName, "dx", dx_TD, x_TD.rows, x_TD.cols, f64);
  check_activation(kName, "dy", dy_TD, x_TD.rows, x_TD.cols, f64);
  check_activation(kName, "gain", gain_D, 1, x_TD.cols, f64);
  check_statistic(kName, "dgain", dgain_D, 1, x_TD.cols, f64);
  check_statistic(kName, "rstd", rstd_T, 1, x_TD.rows, f64);
  ex.kernels.rmsnorm_backward(ex, dx_TD, dgain_D, dy_TD, x_TD, gain_D, rstd_T, write);
}

}  // namespace hadal::kernels
