#include <cmath>

#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {
namespace {

/// A contiguous view as one row.
View one_row(View v) {
  return {v.data, v.dtype, 1, v.count(), v.count()};
}

}  // namespace

void adamw_step(Exec& /*ex*/, View master, View value, View grad, View m, View v, const AdamWConfig& config,
                bool zero_grad) {
  const bool split = master.dtype == DType::kI16;
  const Out p_out(one_row(master)), value_out(one_row(value)), g_out(one_row(grad)), m_out(one_row(m)),
      v_out(one_row(v));
  const double correction1 = 1 - std::pow(config.beta1, static_cast<double>(config.step));
  const double correction2 = 1 - std::pow(config.beta2, static_cast<double>(config.step));
  for (index_t i = 0; i < master.count(); ++i) {
    const double g = g_out(0, i) * config.grad_scale;
    const double m1 = config.beta1 * m_out(0, i) + (1 - config.beta1) * g;
    const double v1 = config.beta2 * v_out(0, i) + (1 - config.beta2) * g * g;
    auto* const rest = reinterpret_cast<std::int16_t*>(master.data) + i;
    auto* const high = reinterpret_cast<bf16*>(value.data) + i;
    const double before = split ? static_cast<double>(hadal::join_f32(*high, *rest)) : p_out(0, i);
    const double decayed = before * (1 - config.lr * config.weight_decay);
    const double after = decayed - config.lr * (m1 / correction1) / (std::sqrt(v1 / correction2) + config.eps);
    m_out.set(0, i, m1);
    v_out.set(0, i, v1);
    if (split) {
      const SplitF32 parts = split_f32(static_cast<float>(after));
      *high = parts.value, *rest = parts.rest;
    } else {
      p_out.set(0, i, after);
      if (!value.empty()) value_out.set(0, i, p_out(0, i));
    }
    if (zero_grad) g_out.set(0, i, 0);
  }
}

double sum_of_squares(Exec& /*ex*/, ConstView x) {
  const In in(x);
  double sum = 0;
  for (index_t r = 0; r < x.rows; ++r)
    for (index_t c = 0; c < x.cols; ++c) sum += in(r, c) * in(r, c);
  return sum;
}

void ema_update(Exec& /*ex*/, View y, ConstView x, ConstView rest, double decay) {
  const In in(x);
  const Out out(y);
  for (index_t r = 0; r < x.rows; ++r)
    for (index_t c = 0; c < x.cols; ++c) {
      const double now = rest.empty()
                             ? in(r, c)
                             : static_cast<double>(hadal::join_f32(x.as<bf16>()(r, c), rest.as<std::int16_t>()(r, c)));
      out.set(r, c, decay * out(r, c) + (1 - decay) * now);
    }
}

}  // namespace hadal::kernels::ref
