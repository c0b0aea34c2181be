#pragma once
// One row of logits, read in one order whatever else runs, so that equal rows give equal bits.
#include <cstdint>
#include <span>
#include <vector>

namespace hadal {

/// The questions that sampling asks of a row of V logits. NaN counts as -infinity: such an id is never chosen. Sums are
/// f64, over blocks of 64 ids. The buffers are reused from row to row.
class LogitRow {
 public:
  /// Looks at a row, which must stay alive and unchanged while the questions are asked. Throws Error when no logit is
  /// finite or one is +infinity.
  void assign(std::span<const float> logits_V);

  int size() const { return static_cast<int>(logits_.size()); }
  float operator[](int id) const { return logits_[static_cast<std::size_t>(id)]; }
  float max() const { return max_; }
  /// The lowest id that has max().
  int argmax() const;

  /// sum over ids of exp((logit - max) * inverse_temperature), which is at least 1.
  double weigh(double inverse_temperature);
  /// After weigh(): the id at which the running sum of the weights, by ascending id, passes u * the whole sum. u in
  /// [0, 1).
  int draw(double u) const;
  /// ln sum exp(logit). Leaves weigh(1) behind.
  double log_sum_exp();

  /// Ids with logit >= cut, ascending; never those of -infinity.
  void at_least(double cut, std::vector<int>& ids) const;
  /// The n likeliest ids with finite logits, best first, the lower id first among equals.
  void likeliest(int n, std::vector<int>& ids);
  /// Standard deviation of the finite logits.
  double standard_deviation() const;

 private:
  std::span<const float> logits_;
  std::vector<float> block_max_, order_;
  std::vector<double> block_sum_;
  float max_ = 0;
  double inverse_temperature_ = 1, sum_ = 0;
};

/// e^x for x <= 0, within 2e-15 of its value, the same bits on every machine; 0 below -700 and for NaN.
double exp_of_negative(double x);

}  // namespace hadal
