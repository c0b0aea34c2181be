#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void adamw_step(Exec& ex, View master, View value, View grad, View m, View v, const AdamWConfig& config, bool zero_grad) { ref::adamw_step(ex, master, value, grad, m, v, config, zero_grad); }
double sum_of_squares(Exec& ex, ConstView x) { return ref::sum_of_squares(ex, x); }
void ema_update(Exec& ex, View y, ConstView x, double decay) { ref::ema_update(ex, y, x, decay); }

#include "kernels/cpu/isa_end.h"
