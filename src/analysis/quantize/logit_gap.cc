#include "analysis/quantize/logit_gap.h"

#include <algorithm>
#include <cmath>

namespace hadal {
namespace {

/// log of the sum of exponentials.
double log_sum(std::span<const float> x) {
  const double top = *std::ranges::max_element(x);
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v) - top);
  return top + std::log(sum);
}

index_t argmax(std::span<const float> x) {
  return std::ranges::max_element(x) - x.begin();
}

}  // namespace

void LogitGapCounter::add(ThreadPool& pool, Mat<const float> source_TV, Mat<const float> other_TV,
                          std::span<const int> next) {
  HADAL_CHECK(source_TV.rows == other_TV.rows && source_TV.cols == other_TV.cols && source_TV.cols > 0 &&
                  std::ssize(next) == source_TV.rows,
              "logit gap: [", source_TV.rows, ", ", source_TV.cols, "] against [", other_TV.rows, ", ", other_TV.cols,
              "] logits and ", next.size(), " tokens");
  const std::size_t first = positions_.size();
  positions_.resize(first + next.size());
  pool.parallel_for(source_TV.rows, [&](index_t t, int) {
    const std::span<const float> p = source_TV.row(t), q = other_TV.row(t);
    const double p_sum = log_sum(p), q_sum = log_sum(q);
    Position& at = positions_[first + static_cast<std::size_t>(t)];
    for (std::size_t v = 0; v < p.size(); ++v) {
      const double log_p = static_cast<double>(p[v]) - p_sum;
      at.kl += std::exp(log_p) * (log_p - (static_cast<double>(q[v]) - q_sum));
    }
    at.agrees = argmax(p) == argmax(q);
    const int id = next[static_cast<std::size_t>(t)];
    if (id < 0) return;
    at.has_next = true;
    at.source_loss = p_sum - static_cast<double>(p[static_cast<std::size_t>(id)]);
    at.loss = q_sum - static_cast<double>(q[static_cast<std::size_t>(id)]);
  });
}

LogitGap LogitGapCounter::finish() const {
  LogitGap gap;
  gap.positions = std::ssize(positions_);
  if (positions_.empty()) return gap;
  std::vector<double> kl;
  double source_loss = 0, loss = 0, agree = 0, followed = 0;
  for (const Position& p : positions_) {
    kl.push_back(std::max(p.kl, 0.0));  // rounding may leave less than nothing
    gap.mean_kl += kl.back();
    agree += p.agrees ? 1 : 0;
    if (p.has_next) source_loss += p.source_loss, loss += p.loss, followed += 1;
  }
  const auto n = static_cast<double>(positions_.size());
  std::ranges::sort(kl);
  gap.mean_kl /= n;
  gap.p99_kl = kl[static_cast<std::size_t>(std::ceil(0.99 * n)) - 1];
  gap.max_kl = kl.back();
  gap.top1 = agree / n;
  if (followed > 0)
    gap.source_perplexity = std::exp(source_loss / followed), gap.perplexity = std::exp(loss / followed);
  return gap;
}

}  // namespace hadal
