#pragma once
// Losses at the output head. Model::train_micro_batch runs the forward pass, lets one of these turn the final states
// into a loss and the gradient of the states, and runs the backward pass. Never are all logits in memory.
#include <functional>
#include <span>

#include "data/batch.h"
#include "kernels/logits_chunks.h"
#include "nn/context.h"

namespace hadal {

/// What a loss at the head gets.
struct HeadPass {
  Context& ctx;    // temporaries from ctx.scratch are given back after the loss
  ConstView x_TD;  // final normed states
  ConstView w_VD;  // lm_head (the embedding when tied); one row with a scalar head
  View dx_TD;      // (=) every row
  View dw_VD;      // (+=); empty when the head is frozen
  const Batch& batch;
};

class HeadLoss {
 public:
  virtual ~HeadLoss() = default;
  /// Returns the loss, in the units of its gradient (scales included).
  virtual double run(const HeadPass& pass) = 0;
};

/// Cross-entropy of the batch's targets, times `scale`. What pre-training and fine-tuning minimise.
class CrossEntropyLoss final : public HeadLoss {
 public:
  explicit CrossEntropyLoss(double scale) : scale_(scale) {}
  double run(const HeadPass& pass) override;
  /// Of the last run: the sum over targets, without the scale.
  double sum() const { return sum_; }

 private:
  double scale_, sum_ = 0;
};

/// What a loss of log-probabilities reads and writes, one value for each row of the batch (masked rows: 0).
struct LogProbs {
  std::span<const double> log_prob;  // log p(target_t)
  std::span<const double> entropy;   // of the whole distribution; empty unless asked for
  std::span<double> dlog_prob;       // to be filled: dloss / dlog_prob; zeros before
  std::span<double> dentropy;        // the same for entropies; zeros before; empty unless asked for
};

/// Any loss that is a function of the targets' log-probabilities, of whole sequences if it likes (DPO sums them, GRPO
/// takes ratios and KL), and of entropies. The head runs twice: once to know the log-probabilities, once for their
/// gradient.
class LogProbLoss final : public HeadLoss {
 public:
  using Function = std::function<double(const LogProbs&)>;
  /// `loss` returns the loss and fills the gradients.
  explicit LogProbLoss(Function loss, bool wants_entropy = false)
      : loss_(std::move(loss)), wants_entropy_(wants_entropy) {}
  double run(const HeadPass& pass) override;

 private:
  Function loss_;
  bool wants_entropy_;
};

/// A loss of the scalar head (reward models): of one score for each sequence (Batch::segment_begins), read from the
/// final state of its last token.
class ScoreLoss final : public HeadLoss {
 public:
  /// Returns the loss and fills dscore, which is zero before.
  using Function = std::function<double(std::span<const double> score, std::span<double> dscore)>;
  explicit ScoreLoss(Function loss) : loss_(std::move(loss)) {}
  double run(const HeadPass& pass) override;

 private:
  Function loss_;
};

/// The sum of a row of f32 or f64.
double sum_of(ConstView row);

}  // namespace hadal
