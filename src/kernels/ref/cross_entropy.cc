#include <cmath>

#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {

void cross_entropy(Exec& /*ex*/, View loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                   double grad_scale, std::span<int> argmax_T) {
  const In logits(logits_TV);
  const Out loss(loss_T), dlogits(dlogits_TV);
  for (index_t t = 0; t < logits_TV.rows; ++t) {
    const index_t target = target_T[static_cast<std::size_t>(t)];
    index_t best = 0;
    for (index_t v = 1; v < logits_TV.cols; ++v)
      if (logits(t, v) > logits(t, best)) best = v;
    if (!argmax_T.empty()) argmax_T[static_cast<std::size_t>(t)] = static_cast<int>(best);
    const double top = logits(t, best);
    double sum = 0;
    for (index_t v = 0; v < logits_TV.cols; ++v) sum += std::exp(logits(t, v) - top);
    loss.set(0, t, target < 0 ? 0 : top + std::log(sum) - logits(t, target));
    if (dlogits_TV.empty()) continue;
    for (index_t v = 0; v < logits_TV.cols; ++v) {
      const double p = std::exp(logits(t, v) - top) / sum;
      dlogits.set(t, v, target < 0 ? 0 : (p - (v == target ? 1 : 0)) * grad_scale);
    }
  }
}

}  // namespace hadal::kernels::ref
