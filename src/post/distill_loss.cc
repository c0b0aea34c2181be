#include "post/distill_loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace hadal {
namespace {

constexpr double kSmallest = 1e-12;  // probabilities below count as this where a logarithm is taken

/// z becomes softmax(z / temperature).
template <class T>
void softmax_in_place(std::span<T> z, double temperature) {
  const T top = *std::max_element(z.begin(), z.end()), factor = static_cast<T>(1 / temperature);
  double sum = 0;
  for (T& v : z) sum += v = std::exp((v - top) * factor);
  const T inverse = static_cast<T>(1 / sum);
  for (T& v : z) v *= inverse;
}

/// One outcome's share of the divergence, and p times its derivative with respect to p.
struct Share {
  double loss, p_dp;
};
Share share(double p, double q, bool forward) {
  const double log_ratio = std::log(std::max(p, kSmallest)) - std::log(std::max(q, kSmallest));
  if (forward) return {-q * log_ratio, -q};
  return {p * log_ratio, p * (log_ratio + 1)};
}

template <class T>
void set(View row, index_t i, T value) {
  switch (row.dtype) {
    case DType::kF64:
      row.as<double>()(0, i) = static_cast<double>(value);
      return;
    case DType::kF32:
      row.as<float>()(0, i) = static_cast<float>(value);
      return;
    default:
      row.as<bf16>()(0, i) = to_bf16(static_cast<float>(value));
  }
}

template <class T>
double row_loss(View dlogits, std::span<T> p, const TeacherRow& teacher, const DistillLossOptions& o, double scale) {
  softmax_in_place(p, o.temperature);
  const bool forward = o.divergence == "forward";
  const std::size_t k = teacher.id.size();
  double loss = 0, mean = 0, p_top = 0, q_top = 0;
  std::vector<double> p_dp(k);
  for (std::size_t i = 0; i < k; ++i) {
    const double p_i = p[static_cast<std::size_t>(teacher.id[i])], q_i = teacher.q[i];
    const Share s = share(p_i, q_i, forward);
    loss += s.loss, mean += s.p_dp, p_dp[i] = s.p_dp;
    p_top += p_i, q_top += q_i;
  }
  // A tail of rounding errors is none.
  const double p_tail = 1 - p_top, q_tail = 1 - q_top;
  Share tail{0, 0};
  if (k < p.size() && p_tail > 0) tail = share(p_tail, std::max(q_tail, 0.0), forward);
  loss += tail.loss, mean += tail.p_dp;
  const double temperature = o.temperature;
  if (!dlogits.empty()) {
    // d/dz_i = (p_i g_i - p_i sum_j p_j g_j) / T; all tokens of the tail share one g.
    const double factor = scale * temperature;  // T^2 / T
    const double tail_g = p_tail > 0 ? tail.p_dp / p_tail : 0;
    std::vector<double> top(k);
    for (std::size_t i = 0; i < k; ++i) top[i] = factor * (p_dp[i] - p[static_cast<std::size_t>(teacher.id[i])] * mean);
    const T slope = static_cast<T>(factor * (tail_g - mean));
    for (std::size_t v = 0; v < p.size(); ++v) set(dlogits, static_cast<index_t>(v), p[v] * slope);
    for (std::size_t i = 0; i < k; ++i) set(dlogits, teacher.id[i], top[i]);
  }
  return temperature * temperature * loss;
}

}  // namespace

double distill_row(View dlogits_V, View logits_V, const TeacherRow& teacher, const DistillLossOptions& options,
                   double scale) {
  for (const int id : teacher.id)
    HADAL_CHECK(id >= 0 && id < logits_V.cols, "distillation: the teacher's token ", id,
                " is outside the vocabulary of ", logits_V.cols);
  HADAL_CHECK(options.temperature > 0, "distillation: temperature ", options.temperature, ", want more than 0");
  if (logits_V.dtype == DType::kF64) return row_loss(dlogits_V, logits_V.flat<double>(), teacher, options, scale);
  return row_loss(dlogits_V, logits_V.flat<float>(), teacher, options, scale);
}

}  // namespace hadal
