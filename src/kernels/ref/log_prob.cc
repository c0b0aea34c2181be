#include <algorithm>
#include <cmath>

#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {
namespace {

/// log of the sum of e^logit over a row.
double log_sum_exp(const In& logits, index_t t, index_t vocab_size) {
  double top = logits(t, 0), sum = 0;
  for (index_t v = 1; v < vocab_size; ++v) top = std::max(top, logits(t, v));
  for (index_t v = 0; v < vocab_size; ++v) sum += std::exp(logits(t, v) - top);
  return top + std::log(sum);
}

double row_entropy(const In& logits, index_t t, index_t vocab_size, double log_sum) {
  double h = 0;
  for (index_t v = 0; v < vocab_size; ++v) {
    const double log_p = logits(t, v) - log_sum, p = std::exp(log_p);
    if (p > 0) h -= p * log_p;
  }
  return h;
}

}  // namespace

void entropy(Exec& /*ex*/, View entropy_T, ConstView logits_TV, std::span<const int> target_T) {
  const In logits(logits_TV);
  const Out h(entropy_T);
  const index_t vocab_size = logits_TV.cols;
  for (index_t t = 0; t < logits_TV.rows; ++t)
    h.set(0, t,
          target_T[static_cast<std::size_t>(t)] < 0
              ? 0
              : row_entropy(logits, t, vocab_size, log_sum_exp(logits, t, vocab_size)));
}

void log_prob_backward(Exec& /*ex*/, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                       ConstView dlogp_T, ConstView dentropy_T) {
  const In logits(logits_TV), dlogp(dlogp_T), dentropy(dentropy_T);
  const Out dlogits(dlogits_TV);
  const index_t vocab_size = logits_TV.cols;
  for (index_t t = 0; t < logits_TV.rows; ++t) {
    const index_t target = target_T[static_cast<std::size_t>(t)];
    const double a = target < 0 ? 0 : dlogp(0, t), b = target < 0 || dentropy_T.empty() ? 0 : dentropy(0, t);
    const double log_sum = log_sum_exp(logits, t, vocab_size);
    const double h = b == 0 ? 0 : row_entropy(logits, t, vocab_size, log_sum);
    for (index_t v = 0; v < vocab_size; ++v) {
      const double log_p = logits(t, v) - log_sum, p = std::exp(log_p);
      const double rise = a == 0 ? 0 : a * ((v == target ? 1 : 0) - p),
                   spread = b == 0 || p == 0 ? 0 : b * p * (log_p + h);
      dlogits.set(t, v, rise - spread);
    }
  }
}

}  // namespace hadal::kernels::ref
