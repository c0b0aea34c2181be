#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/cross_entropy.h"

#include "kernels/table.h"

namespace hadal::kernels {

void linear_cross_entropy(Exec& ex, const CrossEntropyOutputs& out, ConstView x_TD, ConstView w_VD, std::span<const int> target_T, double grad_scale, Write write_dx) { fail("kernels: linear_cross_entropy is not there yet"); }
void cross_entropy(Exec& ex, View loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T, double grad_scale, std::span<int> argmax_T) { ex.kernels.cross_entropy(ex, loss_T, dlogits_TV, logits_TV, target_T, grad_scale, argmax_T); }

}  // namespace hadal::kernels
