#pragma once
// The losses of GRPO and PPO as functions of log-probabilities: what each token's log-probability should become.
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"

namespace hadal {

/// The policy's objective (DeepSeekMath 4.1, DeepSeek-V3 5.2.2, R1 2.2.1; clipping apart as in DAPO).
struct PolicyLossOptions {
  std::string ratio = "token";
  double clip_low = 0.2, clip_high = 0.28;
  std::string aggregation = "token_mean";
  std::string kl = "k3";
  double beta = 0;
  std::string kl_in = "loss";
  template <class V>
  void visit(V&& v) {
    v("ratio", ratio,
      "new over old probability: of each token; of the answer, per token (GSPO); of the answer, as R1's paper writes "
      "it",
      {.choices = {"token", "sequence", "product"}});
    v("clip_low", clip_low, "the ratio counts down to 1 - this");
    v("clip_high", clip_high, "and up to 1 + this (R1: 10 both ways)");
    v("aggregation", aggregation,
      "mean over all tokens, over answers of their token means, or tokens over answers times max_tokens (Dr. GRPO)",
      {.choices = {"token_mean", "sequence_mean", "constant"}});
    v("kl", kl, "estimator of the divergence from the reference; k3_weighted: k3 times the ratio (DeepSeek-V3.2)",
      {.choices = {"k1", "k2", "k3", "k3_weighted"}});
    v("beta", beta, "weight of the divergence; 0: no reference model");
    v("kl_in", kl_in, "the divergence is part of the loss, or of the reward", {.choices = {"loss", "reward"}});
  }
};

/// Answers of a step, token after token: answer i has tokens [begins[i], begins[i + 1]).
struct PolicyTokens {
  std::span<const index_t> begins;
  std::span<const double> new_T, old_T;  // log-probabilities of the drawn tokens
  std::span<const double> ref_T;         // of the reference; empty: no divergence in the loss
  std::span<const double> advantage_T;
  std::span<const double> weight_T;  // of token_weights(); 0: masked
};

/// Sums over the tokens that have a weight; each mean is one of these over `tokens`.
struct PolicyReport {
  double loss = 0;  // weighted: policy + beta * divergence, to be made small
  double policy_loss = 0;
  double kl = 0, ratio = 0, clipped_low = 0, clipped_high = 0;
  double max_log_ratio = 0;  // largest |new - old|
  index_t tokens = 0;
  void add(const PolicyReport& other);
};

/// What a token counts in the loss, for each token of the minibatch: token_mean 1 / tokens; sequence_mean
/// 1 / (answers * tokens of the answer); constant 1 / (answers * max_tokens). Answers that are masked take no part.
std::vector<double> token_weights(std::span<const index_t> begins, const std::vector<bool>& masked,
                                  std::string_view aggregation, index_t max_tokens);

/// -sum over tokens of weight * (min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A) - beta * kl), and
/// dnew_T (=) its gradient by new_T; old, reference and advantages are constants. With ratios of whole answers an
/// answer is clipped as a whole. Log-ratios are held within +-20.
PolicyReport policy_loss(std::span<double> dnew_T, const PolicyTokens& tokens, const PolicyLossOptions& options);

/// An estimate of KL(policy, reference) from one drawn token: with d = ref - new, k1 = -d, k2 = d^2 / 2,
/// k3 = e^d - d - 1 (>= 0). "k3_weighted" is k3 here.
double kl_estimate(std::string_view kind, double log_prob_new, double log_prob_ref);

struct ValueReport {
  double loss = 0;     // weighted
  double clipped = 0;  // tokens where the clipped value counts
};
/// PPO's loss of the critic: weight * max((v - R)^2, (clip(v, old - clip, old + clip) - R)^2) / 2, summed; clip 0: no
/// clipping. dvalue_T (=) its gradient.
ValueReport value_loss(std::span<double> dvalue_T, std::span<const double> value_T, std::span<const double> old_value_T,
                       std::span<const double> return_T, std::span<const double> weight_T, double clip);

}  // namespace hadal
