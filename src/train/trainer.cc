#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "base/mapping_guard.h"
#include "base/stopwatch.h"

namespace hadal {
namespace {

std::int64_t count_targets(const Batch& batch) {
  return std::count_if(batch.targets.begin(), batch.targets.end(), [](int t) { return t >= 0; });
}

void add_loads(std::vector<std::vector<double>>& sum, const std::vector<std::vector<double>>& load) {
  if (sum.empty()) sum.resize(load.size());
  for (std::size_t layer = 0; layer < load.size(); ++layer) {
    sum[layer].resize(load[layer].size());
    for (std::size_t e = 0; e < load[layer].size(); ++e) sum[layer][e] += load[layer][e];
  }
}

}  // namespace

Trainer::Trainer(Exec& exec, Model& model, const TrainerOptions& options, RunPosition total, Lora* lora)
    : exec_(exec),
      model_(model),
      lora_(lora),
      options_(options),
      total_(total),
      lr_(options.lr, total),
      optimizer_(lora != nullptr ? lora->params() : params_of(model), options.optimizer),
      guard_(options.guard),
      ctx_{exec,
           saved_,
           scratch_,
           model.precision(),
           {options.recompute.rmsnorm, options.recompute.mla_up, options.recompute.swiglu}} {
  if (options.ema_decay > 0) ema_.emplace(optimizer_, options.ema_decay);
}

std::int64_t Trainer::micro_size(std::int64_t sequences) const {
  return options_.micro_sequences > 0 ? std::min<std::int64_t>(options_.micro_sequences, sequences) : sequences;
}

LossPolicy Trainer::loss_policy(std::int64_t num_targets, std::size_t num_micro) const {
  const BalanceOptions& b = options_.balance;
  const ModelConfig& config = model_.config();
  LossPolicy policy;
  policy.loss_scale = 1.0 / static_cast<double>(std::max<std::int64_t>(num_targets, 1));
  const double lambda = options_.mtp_weight.value(position_.tokens, total_.tokens);
  if (lambda > 0 && config.num_nextn_predict_layers > 0)
    policy.mtp_weight.assign(static_cast<std::size_t>(config.num_nextn_predict_layers),
                             lambda / config.num_nextn_predict_layers);
  policy.mtp_from_normed = options_.mtp_from_normed;
  policy.balance.loss = {.expert_alpha = static_cast<float>(b.expert_alpha),
                         .device_alpha = static_cast<float>(b.device_alpha),
                         .communication_alpha = static_cast<float>(b.communication_alpha),
                         .sequence_alpha = static_cast<float>(b.sequence_alpha),
                         .num_groups = b.device_groups > 0 ? b.device_groups : config.n_group,
                         .topk_group = config.topk_group};
  policy.balance.loss_scale = 1.0 / static_cast<double>(num_micro);
  policy.balance.capacity_factor = b.capacity_factor;
  policy.balance.keep_rate = b.keep_rate;
  return policy;
}

StepReport Trainer::step(const BatchFn& batches) {
  const std::int64_t sequences = batch_sequences(options_.batch, position_.tokens, total_.tokens),
                     micro = micro_size(sequences);
  std::vector<Batch> micro_batches;
  for (std::int64_t first = 0; first < sequences; first += micro)
    micro_batches.push_back(batches(sequences_ + first, std::min(micro, sequences - first)));
  check_mapped_files();  // which the tokens come from
  return step(micro_batches, sequences);
}

StepReport Trainer::step(std::span<const Batch> micro_batches, std::int64_t sequences, const LossFn& losses) {
  const Stopwatch stopwatch;
  std::int64_t num_targets = 0, num_tokens = 0;
  for (const Batch& batch : micro_batches) {
    num_targets += count_targets(batch);
    num_tokens += static_cast<std::int64_t>(batch.ids.size());
  }

  StepReport report;
  report.first_sequence = sequences_, report.num_sequences = sequences;
  StepMetrics& m = report.metrics;
  const LossPolicy policy = loss_policy(num_targets, micro_batches.size());
  for (std::size_t i = 0; i < micro_batches.size(); ++i) {
    std::unique_ptr<HeadLoss> loss = losses ? losses(i) : nullptr;
    if (loss == nullptr) loss = std::make_unique<CrossEntropyLoss>(policy.loss_scale);
    const LossReport micro = model_.train_micro_batch(ctx_, micro_batches[i], policy, *loss);
    m.main_loss += micro.main;
    for (std::size_t k = 0; k < micro.mtp.size(); ++k)
      m.mtp_loss += micro.mtp[k] * policy.loss_scale * policy.mtp_weight[k];
    m.balance_loss += micro.balance * policy.balance.loss_scale;
    add_loads(report.expert_load, micro.expert_load);
  }
  if (lora_ != nullptr) lora_->take_gradients(exec_);
  m.loss = m.main_loss + m.mtp_loss + m.balance_loss;
  m.grad_norm = optimizer_.grad_norm(exec_);
  m.lr = lr_.at(position_);
  for (const std::vector<double>& load : report.expert_load)
    m.max_violation = std::max(m.max_violation, max_violation(load));

  const Judgement judgement = guard_.judge(m.loss, m.grad_norm);
  report.verdict = judgement.verdict, report.reason = judgement.reason;
  if (ema_) ema_->wait();
  if (judgement.verdict == Verdict::kOk) {
    optimizer_.step(exec_, m.lr, m.grad_norm, ++updates_);
    update_router_bias(model_, report.expert_load, options_.balance.bias_speed.value(position_.tokens, total_.tokens));
    if (ema_) ema_->start();
  } else {
    optimizer_.zero_grad(exec_);
  }

  sequences_ += sequences;
  position_.step += 1;
  position_.tokens += num_tokens;
  m.step = position_.step, m.tokens = position_.tokens;
  m.tokens_per_second = static_cast<double>(num_tokens) / stopwatch.seconds();
  return report;
}

}  // namespace hadal
