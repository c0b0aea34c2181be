#include "kernels/adamw.h"

#include "kernels/table.h"

namespace hadal::kernels {

void adamw_step(Exec& ex, View master, View value, View grad, View m, View v, const AdamWConfig& config, bool zero_grad) { ex.kernels.adamw_step(ex, master, value, grad, m, v, config, zero_grad); }
double sum_of_squares(Exec& ex, ConstView x) { return ex.kernels.sum_of_squares(ex, x); }
void ema_update(Exec& ex, View y, ConstView x, double decay) { ex.kernels.ema_update(ex, y, x, decay); }

}  // namespace hadal::kernels
