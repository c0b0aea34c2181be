#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void adamw_step([[maybe_unused]] Exec& ex, View master, View value, View grad, View m, View v, const AdamWConfig& config, bool zero_grad) { fail("kernels: reference adamw_step is not there yet"); }
double sum_of_squares([[maybe_unused]] Exec& ex, ConstView x) { fail("kernels: reference sum_of_squares is not there yet"); }
void ema_update([[maybe_unused]] Exec& ex, View y, ConstView x, double decay) { fail("kernels: reference ema_update is not there yet"); }

}  // namespace hadal::kernels::ref
