#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void cross_entropy(Exec& ex, View loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T, double grad_scale, std::span<int> argmax_T) { ref::cross_entropy(ex, loss_T, dlogits_TV, logits_TV, target_T, grad_scale, argmax_T); }

#include "kernels/cpu/isa_end.h"
