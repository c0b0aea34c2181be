#include "post/reward_model.h"

#include <algorithm>

#include "nn/weights.h"

namespace hadal {
namespace {

/// The score of the last of `ids`.
double score_of(Context& ctx, Model& model, std::span<const int> ids) {
  HADAL_CHECK(!ids.empty(), "score: no tokens");
  const ArenaScope scope(ctx.scratch);
  const auto num_tokens = static_cast<index_t>(ids.size());
  const View hidden = ctx.temp(num_tokens, model.config().hidden_size), score = ctx.temp_wide(1, 1);
  model.forward(ctx, hidden, ids);
  model.logits(ctx, score, hidden.slice_rows(num_tokens - 1, 1));
  return sum_of(score);
}

}  // namespace

ModelConfig scalar_head_config(const std::filesystem::path& model) {
  ModelConfig config = load_model_config(model);
  config.scalar_head = true;
  config.num_nextn_predict_layers = 0;
  return config;
}

std::vector<double> answer_scores(Context& ctx, Model& model, const std::vector<Preference>& records) {
  std::vector<double> scores;
  for (const Preference& record : records)
    for (const PreferenceAnswer& answer : record.answers) scores.push_back(score_of(ctx, model, answer.ids));
  return scores;
}

RewardTask::RewardTask(const PreferenceData& data, const PreferenceData* validation, bool pairwise, std::int64_t seed)
    : data_(data), validation_(validation), pairwise_(pairwise), seed_(seed) {}

const Preference& RewardTask::record_at(std::int64_t place) const {
  return data_.records[static_cast<std::size_t>(shuffled_item(items_per_epoch(), seed_, place))];
}

Batch RewardTask::batch(std::int64_t first, std::int64_t count) {
  Batch batch;
  for (std::int64_t place = first; place < first + count; ++place)
    for (const PreferenceAnswer& answer : record_at(place).answers) append_answer(batch, answer);
  std::fill(batch.targets.begin(), batch.targets.end(), -1);  // no token is predicted
  return batch;
}

double RewardTask::record_loss(const Preference& record, std::span<const double> score, std::span<double> dscore,
                               double scale, Metrics& metrics) const {
  ++metrics.records;
  if (pairwise_) {
    const PairLoss loss = bradley_terry_loss(score[0], score[1], record.margin);
    if (!dscore.empty()) dscore[0] = scale * loss.dchosen, dscore[1] = scale * loss.drejected;
    const double difference = score[0] - score[1];
    metrics.loss += loss.loss, metrics.margin += difference, metrics.score += (score[0] + score[1]) / 2;
    metrics.accuracy += difference > 0 ? 1 : difference == 0 ? 0.5 : 0;
    return scale * loss.loss;
  }
  const PointLoss loss = pointwise_loss(score[0], record.label);
  if (!dscore.empty()) dscore[0] = scale * loss.dscore;
  metrics.loss += loss.loss, metrics.score += score[0];
  metrics.accuracy += (score[0] > 0) == (record.label > 0.5) ? 1 : 0;
  return scale * loss.loss;
}

std::unique_ptr<HeadLoss> RewardTask::loss(std::int64_t first, std::int64_t count, std::int64_t step_items) {
  return std::make_unique<ScoreLoss>(
      [this, first, count, step_items](std::span<const double> score, std::span<double> dscore) {
        const double scale = 1 / static_cast<double>(step_items);
        const std::size_t per_record = pairwise_ ? 2 : 1;
        double total = 0;
        for (std::int64_t i = 0; i < count; ++i) {
          const std::size_t at = static_cast<std::size_t>(i) * per_record;
          total += record_loss(record_at(first + i), score.subspan(at, per_record), dscore.subspan(at, per_record),
                               scale, step_);
        }
        return total;
      });
}

JsonObject RewardTask::Metrics::to_json(bool pairwise) const {
  const double n = static_cast<double>(std::max<std::int64_t>(records, 1));
  JsonObject result{{"accuracy", accuracy / n}, {"score", score / n}};
  if (pairwise) result["margin"] = margin / n;
  return result;
}

JsonObject RewardTask::step_metrics() {
  const JsonObject metrics = step_.to_json(pairwise_);
  step_ = {};
  return metrics;
}

JsonObject RewardTask::validate(Context& ctx, Model& model) {
  if (validation_ == nullptr) return {};
  const std::vector<double> scores = answer_scores(ctx, model, validation_->records);
  Metrics metrics;
  std::span<const double> rest = scores;
  for (const Preference& record : validation_->records) {
    record_loss(record, rest.first(record.answers.size()), {}, 1, metrics);
    rest = rest.subspan(record.answers.size());
  }
  JsonObject result = metrics.to_json(pairwise_);
  result["loss"] = metrics.loss / static_cast<double>(metrics.records);
  return result;
}

RewardModel::RewardModel(Exec& exec, const std::filesystem::path& folder, const std::string& precision)
    : model_(load_model(exec, folder, Precision::parse(precision), /*train=*/false)),
      tokenizer_(Tokenizer::load(folder)),
      ctx_{exec, saved_, scratch_, model_.precision(), {}} {
  HADAL_CHECK(model_.config().scalar_head, folder.string(), ": the model has no scalar head (architectures is ",
              architecture_name(model_.config()), ")");
}

double RewardModel::score(std::span<const int> ids) {
  for (const int id : ids)
    HADAL_CHECK(id >= 0 && id < model_.config().vocab_size, "score: token ", id, " is outside the vocabulary of ",
                model_.config().vocab_size);
  return score_of(ctx_, model_, ids);
}

}  // namespace hadal
