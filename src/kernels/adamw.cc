#include "kernels/adamw.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {

void adamw_step(Exec& ex, View master, View value, View grad, View m, View v, const AdamWConfig& config,
                bool zero_grad) {
  constexpr const char* kName = "adamw_step";
  const bool f64 = master.dtype == DType::kF64, split = master.dtype == DType::kI16;
  const auto check = [&](const char* name, View view) {
    HADAL_CHECK(view.count() == master.count() && view.contiguous(), kName, ": ", name, " is ", view.rows, " x ",
                view.cols, " with stride ", view.stride, ", want ", master.count(), " values in a run");
  };
  check("master", master);
  check("grad", grad);
  check("m", m);
  check("v", v);
  if (split)
    HADAL_CHECK(value.dtype == DType::kBF16 && !value.empty(), kName, ": an i16 master needs a bf16 value");
  else
    check_statistic(kName, "master", master, master.rows, master.cols, f64);
  check_statistic(kName, "grad", grad, grad.rows, grad.cols, f64);
  check_activation(kName, "m", m, m.rows, m.cols, f64);
  check_activation(kName, "v", v, v.rows, v.cols, f64);
  HADAL_CHECK(m.dtype == v.dtype, kName, ": m holds ", dtype_name(m.dtype), ", v ", dtype_name(v.dtype));
  if (!value.empty()) {
    check("value", value);
    check_activation(kName, "value", value, value.rows, value.cols, f64);
  }
  HADAL_CHECK(config.step >= 1, kName, ": step ", config.step, ", want 1 or more");
  ex.kernels.adamw_step(ex, master, value, grad, m, v, config, zero_grad);
}

double sum_of_squares(Exec& ex, ConstView x) {
  check_view("sum_of_squares", "x", x, x.rows, x.cols,
             {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kE4M3, DType::kE5M2});
  return ex.kernels.sum_of_squares(ex, x);
}

void ema_update(Exec& ex, View y, ConstView x, ConstView rest, double decay) {
  const bool f64 = y.dtype == DType::kF64;
  check_statistic("ema_update", "y", y, y.rows, y.cols, f64);
  check_activation("ema_update", "x", x, y.rows, y.cols, f64);
  if (!rest.empty()) {
    check_view("ema_update", "rest", rest, y.rows, y.cols, {DType::kI16});
    HADAL_CHECK(x.dtype == DType::kBF16, "ema_update: a rest beside x of ", dtype_name(x.dtype), ", want bf16");
  }
  ex.kernels.ema_update(ex, y, x, rest, decay);
}

void join_f32(Exec& ex, View y, ConstView value, ConstView rest) {
  check_view("join_f32", "value", value, y.rows, y.cols, {DType::kBF16});
  check_view("join_f32", "rest", rest, y.rows, y.cols, {DType::kI16});
  check_view("join_f32", "y", y, y.rows, y.cols, {DType::kF32});
  ex.pool.parallel_for(y.rows, [&](index_t r, int) {
    for (index_t c = 0; c < y.cols; ++c)
      y.as<float>()(r, c) = join_f32(value.as<bf16>()(r, c), rest.as<std::int16_t>()(r, c));
  });
}

}  // namespace hadal::kernels
