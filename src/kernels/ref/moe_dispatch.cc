#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {

void dispatch_gather(Exec& /*ex*/, View y_SD, ConstView x_TD, const DispatchPlan& plan) {
  const In x(x_TD);
  const Out y(y_SD);
  for (index_t s = 0; s < plan.offsets.back(); ++s)
    for (index_t d = 0; d < x_TD.cols; ++d) y.set(s, d, x(plan.token_of_S[static_cast<std::size_t>(s)], d));
}

void dispatch_gather_backward(Exec& /*ex*/, View dx_TD, ConstView dy_SD, const DispatchPlan& plan) {
  const In dy(dy_SD);
  const Out dx(dx_TD);
  for (index_t t = 0; t < dx_TD.rows; ++t) {
    for (index_t d = 0; d < dx_TD.cols; ++d) {
      double sum = 0;
      for (const int slot : plan.slot_TA.row(t))
        if (slot >= 0) sum += dy(slot, d);
      dx.add(t, d, sum);
    }
  }
}

void combine(Exec& /*ex*/, View y_TD, ConstView x_SD, ConstView weight_TA, const DispatchPlan& plan) {
  const In x(x_SD), weight(weight_TA);
  const Out y(y_TD);
  for (index_t t = 0; t < y_TD.rows; ++t) {
    for (index_t d = 0; d < y_TD.cols; ++d) {
      double sum = 0;
      for (index_t a = 0; a < plan.slot_TA.cols; ++a)
        if (plan.slot_TA(t, a) >= 0) sum += weight(t, a) * x(plan.slot_TA(t, a), d);
      y.add(t, d, sum);
    }
  }
}

void combine_backward(Exec& /*ex*/, View dx_SD, View dweight_TA, ConstView dy_TD, ConstView x_SD, ConstView weight_TA,
                      const DispatchPlan& plan) {
  const In dy(dy_TD), x(x_SD), weight(weight_TA);
  const Out dx(dx_SD), dweight(dweight_TA);
  for (index_t t = 0; t < dy_TD.rows; ++t) {
    for (index_t a = 0; a < plan.slot_TA.cols; ++a) {
      const index_t slot = plan.slot_TA(t, a);
      double sum = 0;
      for (index_t d = 0; slot >= 0 && d < dy_TD.cols; ++d) {
        sum += dy(t, d) * x(slot, d);
        dx.set(slot, d, weight(t, a) * dy(t, d));
      }
      dweight.set(t, a, sum);
    }
  }
}

}  // namespace hadal::kernels::ref
