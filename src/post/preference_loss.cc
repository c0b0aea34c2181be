#include "post/preference_loss.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal {

double log_sigmoid(double x) {
  return std::min(x, 0.0) - std::log1p(std::exp(-std::abs(x)));
}

double sigmoid(double x) {
  return std::exp(log_sigmoid(x));
}

PairLoss dpo_loss(const PairLogProbs& pair, const DpoLossOptions& o) {
  const double chosen_length = static_cast<double>(std::max<std::int64_t>(pair.chosen_tokens, 1)),
               rejected_length = static_cast<double>(std::max<std::int64_t>(pair.rejected_tokens, 1));
  // Weight of one token's log-probability in its answer.
  const double w_chosen = o.length_normalised ? 1 / chosen_length : 1,
               w_rejected = o.length_normalised ? 1 / rejected_length : 1;
  PairLoss result;
  result.reward_chosen = o.beta * w_chosen * (pair.chosen - pair.ref_chosen);
  result.reward_rejected = o.beta * w_rejected * (pair.rejected - pair.ref_rejected);
  const double h = result.reward_chosen - result.reward_rejected;
  double dh = 0;
  if (o.loss == "sigmoid") {
    const double e = o.label_smoothing;
    result.loss = -(1 - e) * log_sigmoid(h) - e * log_sigmoid(-h);
    dh = -(1 - e) * sigmoid(-h) + e * sigmoid(h);
  } else if (o.loss == "ipo") {
    const double distance = h / o.beta - 1 / (2 * o.beta);
    result.loss = distance * distance;
    dh = 2 * distance / o.beta;
  } else if (o.loss == "hinge") {
    result.loss = std::max(0.0, 1 - h);
    dh = h < 1 ? -1 : 0;
  } else {
    fail("dpo loss: got \"", o.loss, "\", want sigmoid|ipo|hinge");
  }
  result.dchosen = dh * o.beta * w_chosen, result.drejected = -dh * o.beta * w_rejected;
  result.loss -= o.sft_weight * pair.chosen / chosen_length;
  result.dchosen -= o.sft_weight / chosen_length;
  return result;
}

PairLoss bradley_terry_loss(double chosen, double rejected, double margin) {
  const double h = chosen - rejected - margin, d = -sigmoid(-h);
  return {.loss = -log_sigmoid(h), .dchosen = d, .drejected = -d, .reward_chosen = chosen, .reward_rejected = rejected};
}

PointLoss pointwise_loss(double score, double label) {
  return {.loss = -label * log_sigmoid(score) - (1 - label) * log_sigmoid(-score), .dscore = sigmoid(score) - label};
}

}  // namespace hadal
