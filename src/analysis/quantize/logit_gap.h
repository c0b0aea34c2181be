#pragma once
// How far the distributions of one model are from those of another.
#include <span>
#include <vector>

#include "base/parallel.h"
#include "tensor/view.h"

namespace hadal {

/// Over positions, in nats: KL(source || other) of the next token's distribution.
struct LogitGap {
  index_t positions = 0;
  double mean_kl = 0, p99_kl = 0, max_kl = 0;
  double top1 = 0;                               // share of positions at which both have the same most likely token
  double source_perplexity = 0, perplexity = 0;  // of the tokens that follow
};

/// Gathers positions; `finish` sums them in their order.
class LogitGapCounter {
 public:
  /// Rows of logits in f32, equal shapes. next[t] follows row t; negative: nothing does.
  void add(ThreadPool& pool, Mat<const float> source_TV, Mat<const float> other_TV, std::span<const int> next);
  LogitGap finish() const;

 private:
  struct Position {
    double kl = 0, source_loss = 0, loss = 0;
    bool agrees = false, has_next = false;
  };
  std::vector<Position> positions_;
};

}  // namespace hadal
