#include <cmath>

#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {

void rmsnorm_forward(Exec& /*ex*/, View y_TD, View rstd_T, ConstView x_TD, ConstView gain_D, float eps) {
  const In x(x_TD), gain(gain_D);
  const Out y(y_TD), rstd(rstd_T);
  for (index_t t = 0; t < x_TD.rows; ++t) {
    double squares = 0;
    for (index_t d = 0; d < x_TD.cols; ++d) squares += x(t, d) * x(t, d);
    const double r = 1 / std::sqrt(squares / static_cast<double>(x_TD.cols) + static_cast<double>(eps));
    if (!rstd_T.empty()) rstd.set(0, t, r);
    for (index_t d = 0; d < x_TD.cols; ++d) y.set(t, d, x(t, d) * r * gain(0, d));
  }
}

// In the forward pass: y_d = n_d g_d with n_d = x_d r and r = (mean(x^2) + eps)^(-1/2), so dr/dx_d = -r^3 x_d / D.
void rmsnorm_backward(Exec& /*ex*/, View dx_TD, View dgain_D, ConstView dy_TD, ConstView x_TD, ConstView gain_D,
                      ConstView rstd_T, Write write) {
  const In dy(dy_TD), x(x_TD), gain(gain_D), rstd(rstd_T);
  const Out dx(dx_TD), dgain(dgain_D);
  for (index_t t = 0; t < x_TD.rows; ++t) {
    const double r = rstd(0, t);
    double dn_n = 0;
    for (index_t d = 0; d < x_TD.cols; ++d) dn_n += dy(t, d) * gain(0, d) * x(t, d) * r;
    dn_n /= static_cast<double>(x_TD.cols);
    for (index_t d = 0; d < x_TD.cols; ++d) {
      const double n = x(t, d) * r;
      const double v = r * (dy(t, d) * gain(0, d) - n * dn_n);
      dx.set(t, d, write == Write::kAdd ? dx(t, d) + v : v);
    }
  }
  for (index_t d = 0; d < x_TD.cols; ++d) {
    double sum = 0;
    for (index_t t = 0; t < x_TD.rows; ++t) sum += dy(t, d) * x(t, d) * rstd(0, t);
    dgain.add(0, d, sum);
  }
}

}  // namespace hadal::kernels::ref
