#pragma once
// Losses of one pair of answers: DPO (arXiv 2305.18290; DeepSeek LLM report, section 4.3), IPO (2310.12036), hinge
// (SLiC, 2305.10425), and Bradley-Terry for reward models. Plain numbers, no model.
#include <cstdint>
#include <string>

namespace hadal {

struct DpoLossOptions {
  std::string loss = "sigmoid";
  double beta = 0.1, label_smoothing = 0, sft_weight = 0;
  bool length_normalised = false;
  template <class V>
  void visit(V&& v) {
    v("loss", loss,
      "of the margin h = beta * (log-ratio of chosen - log-ratio of rejected): sigmoid -log sigma(h); ipo "
      "(h / beta - 1 / (2 beta))^2; hinge max(0, 1 - h)",
      {.choices = {"sigmoid", "ipo", "hinge"}});
    v("beta", beta, "how far the policy may leave the reference; small: far");
    v("label_smoothing", label_smoothing, "sigmoid: share of pairs that are taken to be the wrong way round");
    v("sft_weight", sft_weight, "adds so much of the mean cross-entropy of the chosen answer");
    v("length_normalised", length_normalised, "log-probabilities are means over an answer's tokens, not sums");
  }
};

/// Log-probabilities of two answers, summed over their tokens, under the policy and the frozen reference.
struct PairLogProbs {
  double chosen = 0, rejected = 0, ref_chosen = 0, ref_rejected = 0;
  std::int64_t chosen_tokens = 1, rejected_tokens = 1;
};

struct PairLoss {
  double loss = 0;
  double dchosen = 0, drejected = 0;  // dloss / d(the sums of the policy)
  // beta * (policy - reference): the implicit rewards. The pair is right when chosen's is the larger one.
  double reward_chosen = 0, reward_rejected = 0;
};
PairLoss dpo_loss(const PairLogProbs& pair, const DpoLossOptions& options);

/// -log sigma(chosen - rejected - margin); gradients in dchosen and drejected (Bradley-Terry).
PairLoss bradley_terry_loss(double chosen, double rejected, double margin = 0);

/// Cross-entropy of a probability sigma(score) with a label in [0, 1] (pointwise reward models).
struct PointLoss {
  double loss = 0, dscore = 0;
};
PointLoss pointwise_loss(double score, double label);

/// log sigma(x), exact for large |x|.
double log_sigmoid(double x);
double sigmoid(double x);

}  // namespace hadal
