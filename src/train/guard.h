#pragma once
// Judges every step before the optimizer may use its gradient: not-a-number, infinite and suddenly large losses or
// gradient norms are not trained on. A step stands out by its robust z-score, (x - median) / (1.4826 MAD), over the
// last steps that were accepted.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace hadal {

struct GuardOptions {
  bool enabled = true;
  int window = 128;
  int min_history = 32;
  double loss_threshold = 8.0;
  double grad_norm_threshold = 0;  // off: clipping bounds what such a step can do
  int max_skips = 3;
  int max_rollbacks = 3;
  std::string on_spike = "skip";
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "judge steps; NaN and infinity then never reach the weights");
    v("window", window, "accepted steps to compare with");
    v("min_history", min_history, "accepted steps before a spike can be told");
    v("loss_threshold", loss_threshold, "robust z-score of the loss from which a step is a spike; 0: never");
    v("grad_norm_threshold", grad_norm_threshold, "the same for the gradient norm; 0: never");
    v("max_skips", max_skips, "steps skipped in a row before the run goes back to its last checkpoint");
    v("max_rollbacks", max_rollbacks, "times it goes back before it gives up");
    v("on_spike", on_spike, "what follows a finite spike; NaN and infinity are always skipped",
      {.choices = {"skip", "warn"}});
  }
};

enum class Verdict : std::uint8_t {
  kOk,        // use the gradient
  kSkip,      // leave weights, moments and router bias alone; go on with the next batch
  kRollBack,  // load the last checkpoint, but go on with the batches after this one
};
std::string_view verdict_name(Verdict verdict);

struct Judgement {
  Verdict verdict = Verdict::kOk;
  std::string reason;  // "loss 9.31: z = 14.2 over the last 128 steps (median 3.10)"; empty when all is well
};

/// The judge of one run. What it remembers is part of the trainer's state, so that a resumed run decides alike.
class StepGuard {
 public:
  explicit StepGuard(const GuardOptions& options);

  /// Call once per step, after the backward pass and before clipping. Throws Error when the run went back
  /// max_rollbacks times and fails again.
  Judgement judge(double loss, double grad_norm);

  int skipped_in_a_row() const { return skips_; }
  int rollbacks() const { return rollbacks_; }
  /// After a roll-back: the history of the checkpoint, but the count of roll-backs of now.
  void restore_after_rollback(const JsonObject& state);

  JsonObject state() const;
  /// Throws Error when `state` is not what state() gives.
  void restore(const JsonObject& state);

 private:
  struct Series {
    std::vector<double> values;  // a ring, oldest at `next` once full
    std::size_t next = 0;
  };
  std::string spike(const Series& series, double value, double threshold, std::string_view name) const;
  void remember(Series& series, double value) const;

  GuardOptions options_;
  Series losses_, grad_norms_;
  int skips_ = 0, rollbacks_ = 0;
};

/// (value - median) / (1.4826 * MAD), where the median absolute deviation is at least 1e-3 of the median: a series
/// without noise must not make a spike of a last digit. Higher is stranger; falling values are negative.
double robust_z(std::vector<double> series, double value);

}  // namespace hadal
