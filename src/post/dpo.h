#pragma once
// Direct preference optimisation: pairs of answers, a frozen reference whose log-probabilities are computed once.
#include "post/post_run.h"
#include "post/preference_data.h"
#include "post/preference_loss.h"

namespace hadal {

/// Sums of log-probabilities of the chosen and the rejected answer of each pair.
struct ReferenceLogProbs {
  std::vector<double> chosen, rejected;
};

/// Of all pairs under `model` as it is.
ReferenceLogProbs pair_log_probs(Context& ctx, Model& model, const std::vector<Preference>& pairs);

/// The same, kept in `file` for as long as model and data (by hash) stay the same: a resumed run has other weights by
/// then. `model_name`: what says which weights these are.
ReferenceLogProbs reference_log_probs(Context& ctx, Model& model, const PreferenceData& data,
                                      const std::string& model_name, const std::filesystem::path& file);

/// Means over pairs.
struct PreferenceMetrics {
  double loss = 0, accuracy = 0, margin = 0, reward_chosen = 0, reward_rejected = 0, log_prob_chosen = 0;
  std::int64_t pairs = 0;
  void add(const PairLoss& pair, double log_prob_chosen_of_pair);
  JsonObject to_json() const;
};

class DpoTask final : public PostTask {
 public:
  /// All arguments must outlive the task. validation: nullptr when there is none.
  DpoTask(const PreferenceData& data, const ReferenceLogProbs& reference, const PreferenceData* validation,
          const ReferenceLogProbs& validation_reference, const DpoLossOptions& options, std::int64_t seed);
  std::int64_t items_per_epoch() const override { return static_cast<std::int64_t>(data_.records.size()); }
  Batch batch(std::int64_t first, std::int64_t count) override;
  std::unique_ptr<HeadLoss> loss(std::int64_t first, std::int64_t count, std::int64_t step_items) override;
  JsonObject step_metrics() override;
  JsonObject validate(Context& ctx, Model& model) override;

 private:
  std::size_t pair_at(std::int64_t place) const;

  const PreferenceData& data_;
  const ReferenceLogProbs& reference_;
  const PreferenceData* validation_;
  const ReferenceLogProbs& validation_reference_;
  DpoLossOptions options_;
  std::int64_t seed_;
  PreferenceMetrics step_;
};

}  // namespace hadal
