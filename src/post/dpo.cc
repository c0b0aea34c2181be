#include "post/dpo.h"

#include <algorithm>

#include "base/log.h"
#include "base/progress.h"
#include "formats/safetensors.h"
#include "tensor/wide.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

PairLogProbs pair_of(const Preference& pair, const ReferenceLogProbs& reference, std::size_t i, double chosen,
                     double rejected) {
  return {.chosen = chosen,
          .rejected = rejected,
          .ref_chosen = reference.chosen[i],
          .ref_rejected = reference.rejected[i],
          .chosen_tokens = pair.answers[0].num_trained(),
          .rejected_tokens = pair.answers[1].num_trained()};
}

ConstView row_of(const std::vector<double>& values) {
  const auto n = static_cast<index_t>(values.size());
  return view_of(Mat<const double>{values.data(), 1, n, n});
}

std::vector<double> read_row(const SafetensorsFile& file, const char* name, std::size_t size, const fs::path& path) {
  const auto found = file.tensors().find(name);
  HADAL_CHECK(found != file.tensors().end() && found->second.dtype == DType::kF64 &&
                  found->second.count() == static_cast<index_t>(size),
              path.string(), ": ", name, " is missing, or not ", size, " f64 values");
  const auto values = found->second.view().as<double>();
  return {values.data, values.data + size};
}

}  // namespace

ReferenceLogProbs pair_log_probs(Context& ctx, Model& model, const std::vector<Preference>& pairs) {
  ReferenceLogProbs result;
  for (const Preference& pair : pairs) {
    const ArenaScope scope(ctx.saved);
    Batch batch;
    for (const PreferenceAnswer& answer : pair.answers) append_answer(batch, answer);
    const View nll = ctx.keep_wide(1, static_cast<index_t>(batch.ids.size()));
    model.evaluate(ctx, nll, batch);
    double sum[2] = {};
    for (index_t t = 0; t < nll.cols; ++t) sum[t < batch.segment_begins[1] ? 0 : 1] -= wide_at(nll, 0, t);
    result.chosen.push_back(sum[0]);
    result.rejected.push_back(sum[1]);
  }
  return result;
}

ReferenceLogProbs reference_log_probs(Context& ctx, Model& model, const PreferenceData& data,
                                      const std::string& model_name, const fs::path& file) {
  if (fs::exists(file)) {
    const SafetensorsFile stored(file);
    const auto is = [&](const char* key, const std::string& value) {
      const auto found = stored.metadata().find(key);
      return found != stored.metadata().end() && found->second == value;
    };
    if (is("data", data.hash) && is("model", model_name))
      return {read_row(stored, "chosen", data.records.size(), file),
              read_row(stored, "rejected", data.records.size(), file)};
  }
  log_info("log-probabilities of ", data.records.size(), " pairs under the reference");
  ReferenceLogProbs result = pair_log_probs(ctx, model, data.records);
  const auto n = static_cast<index_t>(data.records.size());
  fs::create_directories(file.parent_path());
  write_safetensors(
      file,
      {{"chosen", DType::kF64, {n}, row_of(result.chosen)}, {"rejected", DType::kF64, {n}, row_of(result.rejected)}},
      {{"data", data.hash}, {"model", model_name}});
  return result;
}

void PreferenceMetrics::add(const PairLoss& pair, double log_prob_chosen_of_pair) {
  ++pairs;
  loss += pair.loss;
  const double difference = pair.reward_chosen - pair.reward_rejected;
  accuracy += difference > 0 ? 1 : difference == 0 ? 0.5 : 0;  // a tie is a coin's throw
  margin += difference;
  reward_chosen += pair.reward_chosen, reward_rejected += pair.reward_rejected;
  log_prob_chosen += log_prob_chosen_of_pair;
}

JsonObject PreferenceMetrics::to_json() const {
  const double n = static_cast<double>(std::max<std::int64_t>(pairs, 1));
  return {{"accuracy", accuracy / n},
          {"margin", margin / n},
          {"reward_chosen", reward_chosen / n},
          {"reward_rejected", reward_rejected / n},
          {"log_prob_chosen", log_prob_chosen / n}};
}

DpoTask::DpoTask(const PreferenceData& data, const ReferenceLogProbs& reference, const PreferenceData* validation,
                 const ReferenceLogProbs& validation_reference, const DpoLossOptions& options, std::int64_t seed)
    : data_(data),
      reference_(reference),
      validation_(validation),
      validation_reference_(validation_reference),
      options_(options),
      seed_(seed) {
  HADAL_CHECK(options.beta > 0, "beta: got ", options.beta, ", want more than 0");
  HADAL_CHECK(options.label_smoothing >= 0 && options.label_smoothing < 0.5, "label_smoothing: got ",
              options.label_smoothing, ", want [0, 0.5)");
}

std::size_t DpoTask::pair_at(std::int64_t place) const {
  return static_cast<std::size_t>(shuffled_item(items_per_epoch(), seed_, place));
}

Batch DpoTask::batch(std::int64_t first, std::int64_t count) {
  Batch batch;
  for (std::int64_t place = first; place < first + count; ++place)
    for (const PreferenceAnswer& answer : data_.records[pair_at(place)].answers) append_answer(batch, answer);
  return batch;
}

std::unique_ptr<HeadLoss> DpoTask::loss(std::int64_t first, std::int64_t count, std::int64_t step_items) {
  return std::make_unique<LogProbLoss>([this, first, count, step_items](const LogProbs& p) {
    const double scale = 1 / static_cast<double>(step_items);
    double total = 0;
    std::size_t row = 0;
    for (std::int64_t place = first; place < first + count; ++place) {
      const std::size_t i = pair_at(place);
      const Preference& pair = data_.records[i];
      const std::size_t middle = row + pair.answers[0].ids.size(), end = middle + pair.answers[1].ids.size();
      double chosen = 0, rejected = 0;
      for (std::size_t t = row; t < middle; ++t) chosen += p.log_prob[t];
      for (std::size_t t = middle; t < end; ++t) rejected += p.log_prob[t];
      const PairLoss loss = dpo_loss(pair_of(pair, reference_, i, chosen, rejected), options_);
      for (std::size_t t = row; t < end; ++t) p.dlog_prob[t] = scale * (t < middle ? loss.dchosen : loss.drejected);
      step_.add(loss, chosen);
      total += scale * loss.loss;
      row = end;
    }
    return total;
  });
}

JsonObject DpoTask::step_metrics() {
  const JsonObject metrics = step_.to_json();
  step_ = {};
  return metrics;
}

JsonObject DpoTask::validate(Context& ctx, Model& model) {
  if (validation_ == nullptr) return {};
  const ReferenceLogProbs policy = pair_log_probs(ctx, model, validation_->records);
  PreferenceMetrics metrics;
  for (std::size_t i = 0; i < validation_->records.size(); ++i)
    metrics.add(
        dpo_loss(pair_of(validation_->records[i], validation_reference_, i, policy.chosen[i], policy.rejected[i]),
                 options_),
        policy.chosen[i]);
  JsonObject result = metrics.to_json();
  result["loss"] = metrics.loss / static_cast<double>(metrics.pairs);
  return result;
}

}  // namespace hadal
