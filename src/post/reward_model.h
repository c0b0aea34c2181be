#pragma once
// Reward models: a transformer with a scalar head, read at the last token of an answer (DeepSeek-R1, supplement B.1:
// pairwise for helpfulness, pointwise for safety).
#include <memory>

#include "post/dpo.h"

namespace hadal {

/// The config of a model folder with a scalar head in place of the language model's: no MTP, no tied head.
ModelConfig scalar_head_config(const std::filesystem::path& model);

/// Scores of all answers of all records, in order.
std::vector<double> answer_scores(Context& ctx, Model& model, const std::vector<Preference>& records);

class RewardTask final : public PostTask {
 public:
  /// pairwise: Bradley-Terry on pairs; otherwise cross-entropy of labels. The data must outlive the task.
  RewardTask(const PreferenceData& data, const PreferenceData* validation, bool pairwise, std::int64_t seed);
  std::int64_t items_per_epoch() const override { return static_cast<std::int64_t>(data_.records.size()); }
  Batch batch(std::int64_t first, std::int64_t count) override;
  std::unique_ptr<HeadLoss> loss(std::int64_t first, std::int64_t count, std::int64_t step_items) override;
  JsonObject step_metrics() override;
  JsonObject validate(Context& ctx, Model& model) override;

 private:
  struct Metrics {
    double loss = 0, accuracy = 0, margin = 0, score = 0;
    std::int64_t records = 0;
    JsonObject to_json(bool pairwise) const;
  };
  const Preference& record_at(std::int64_t place) const;
  /// The loss of one record; adds to metrics, and scale * gradient to dscore (empty: not wanted).
  double record_loss(const Preference& record, std::span<const double> score, std::span<double> dscore, double scale,
                     Metrics& metrics) const;

  const PreferenceData& data_;
  const PreferenceData* validation_;
  bool pairwise_;
  std::int64_t seed_;
  Metrics step_;
};

/// A trained reward model, ready to score. Not movable: its context refers to its neighbours.
class RewardModel {
 public:
  /// Throws Error when the folder is no model with a scalar head.
  RewardModel(Exec& exec, const std::filesystem::path& folder, const std::string& precision = "bf16");
  RewardModel(const RewardModel&) = delete;
  RewardModel& operator=(const RewardModel&) = delete;

  /// The score of a conversation that ends with an answer, as SftEncoder gives its ids.
  double score(std::span<const int> ids);
  const ModelConfig& config() const { return model_.config(); }
  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  Arena saved_, scratch_;
  Model model_;
  Tokenizer tokenizer_;
  Context ctx_;
};

}  // namespace hadal
