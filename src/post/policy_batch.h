#pragma once
// Sampled answers as training sees them: sequences of ids, and what the loss wants to know of each of their tokens.
#include <vector>

#include "data/batch.h"
#include "nn/head_loss.h"
#include "nn/model.h"
#include "post/policy_loss.h"

namespace hadal {

/// One answer behind its prompt.
struct PolicySample {
  std::vector<int> prompt, tokens;
  std::vector<double> old_T, ref_T, advantage_T;  // for each token; ref_T is empty without a reference
  std::vector<double> value_T, return_T;          // with a critic: what it said, and what it should have said
  bool masked = false;                            // takes no part in the loss
};

/// Samples that go through the model together. Token k of the answers stands in row rows[k] of the batch, the one that
/// predicts it.
struct PolicyMicroBatch {
  Batch batch;
  std::vector<int> samples;  // which, in the order of the sequences
  std::vector<index_t> begins = {0}, rows;
  std::vector<double> old_T, ref_T, advantage_T, weight_T, value_T, return_T;
};

/// The samples of a minibatch, shortest first, in micro-batches of at most `max_tokens` tokens (more only for a sample
/// that is longer by itself). Weights are those of the whole minibatch (token_weights). Equal lengths keep their order.
std::vector<PolicyMicroBatch> make_micro_batches(std::span<const PolicySample> samples, std::span<const int> minibatch,
                                                 std::string_view aggregation, index_t max_answer, index_t max_tokens);

/// Log-probabilities of all tokens of all samples under a model, at temperature 1.
std::vector<std::vector<double>> sample_log_probs(Context& ctx, Model& model, std::span<const PolicySample> samples,
                                                  index_t max_tokens);

class Critic;

/// The policy's loss on one micro-batch, with a bonus for entropy; with a critic its loss too.
class PolicyHeadLoss final : public HeadLoss {
 public:
  struct Options {
    PolicyLossOptions policy;
    double entropy_weight = 0;
    Critic* critic = nullptr;
  };
  struct Report {
    PolicyReport policy;
    double entropy = 0;                        // summed over tokens
    double value_loss = 0, value_clipped = 0;  // of the critic: weighted; tokens
    void add(const Report& other);
  };
  /// All must outlive the loss; it adds to `report`.
  PolicyHeadLoss(const PolicyMicroBatch& micro, const Options& options, Report& report)
      : micro_(micro), options_(options), report_(report) {}
  double run(const HeadPass& pass) override;

 private:
  double policy(const LogProbs& p);

  const PolicyMicroBatch& micro_;
  const Options& options_;
  Report& report_;
};

}  // namespace hadal
