#pragma once
// Distillation (DeepSeek-R1, section 2.4): a student is fine-tuned on a teacher's traces; its logits may be drawn to
// the teacher's too.
#include "post/sft.h"
#include "post/teacher_logits.h"

namespace hadal {

/// weight * scale * sum over places T^2 KL + (1 - weight) * scale * sum of the targets' cross-entropies.
class DistillLoss final : public HeadLoss {
 public:
  /// rows: one for each place of the batch, empty where nothing is compared; what they refer to must outlive the loss.
  /// report: gets both sums, scaled but not weighted.
  DistillLoss(std::vector<TeacherRow> rows, const DistillLossOptions& options, double scale,
              std::function<void(double divergence, double cross_entropy)> report)
      : rows_(std::move(rows)), options_(options), scale_(scale), report_(std::move(report)) {}
  double run(const HeadPass& pass) override;

 private:
  std::vector<TeacherRow> rows_;
  DistillLossOptions options_;
  double scale_;
  std::function<void(double, double)> report_;
};

/// The mean of both over the targets of a step.
class DistillTask final : public SftTask {
 public:
  /// All must outlive the task.
  DistillTask(const SftData& data, const Tokenizer& tokenizer, std::int64_t seed, const TeacherLogits& teacher,
              const DistillLossOptions& options)
      : SftTask(data, tokenizer, seed), teacher_(teacher), options_(options) {}
  void begin_step(std::int64_t first, std::int64_t count) override;
  std::unique_ptr<HeadLoss> loss(std::int64_t first, std::int64_t count, std::int64_t step_items) override;
  JsonObject step_metrics() override;

 private:
  const TeacherLogits& teacher_;
  DistillLossOptions options_;
  std::int64_t step_targets_ = 0;
  double divergence_ = 0, cross_entropy_ = 0;
};

}  // namespace hadal
