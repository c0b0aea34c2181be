#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "train/balance.h"
#include "train/ema.h"
#include "train/guard.h"
#include "train/lora.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace hadal {

/// Balance of experts: the router bias (V3) and the auxiliary losses of V1, V2, V3.
struct BalanceOptions {
  SwitchOptions bias_speed = v3_bias_speed();
  double sequence_alpha = 1e-4, expert_alpha = 0, device_alpha = 0, communication_alpha = 0;
  int device_groups = 0;
  double capacity_factor = 0, keep_rate = 0.1;
  template <class V>
  void visit(V&& v) {
    v.group("bias_speed", bias_speed, "gamma: what a step moves the bias of an unevenly loaded expert by");
    v("sequence_alpha", sequence_alpha, "V3's sequence-wise loss");
    v("expert_alpha", expert_alpha, "V1/V2 expert-level loss");
    v("device_alpha", device_alpha, "V1/V2 device-level loss");
    v("communication_alpha", communication_alpha, "V2 communication loss");
    v("device_groups", device_groups, "groups of experts that stand for devices; 0: the router's n_group");
    v("capacity_factor", capacity_factor,
      "V2 token dropping: most that a group takes, times its fair share; 0: no dropping");
    v("keep_rate", keep_rate, "sequences exempt from dropping");
  }
};

struct RecomputeOptions {
  bool rmsnorm = false, mla_up = false, swiglu = false;
  template <class V>
  void visit(V&& v) {
    v("rmsnorm", rmsnorm, "outputs of RMSNorm");
    v("mla_up", mla_up, "MLA up-projections");
    v("swiglu", swiglu, "outputs of SwiGLU");
  }
};

/// What training does, beside what it trains on.
struct TrainerOptions {
  std::string precision = "bf16";
  int seq_length = 256, micro_sequences = 0;
  LrOptions lr;
  BatchOptions batch;
  SwitchOptions mtp_weight = v3_mtp_weight();
  bool mtp_from_normed = true;
  BalanceOptions balance;
  OptimizerOptions optimizer;
  GuardOptions guard;
  RecomputeOptions recompute;
  double ema_decay = 0;
  template <class V>
  void visit(V&& v) {
    v("precision", precision, "recipe of the operands", {.choices = {"f32", "bf16", "fp8"}});
    v("seq_length", seq_length, "tokens of a sequence");
    v("micro_sequences", micro_sequences, "sequences of a micro-batch; 0: the whole batch at once");
    v.group("lr", lr, "learning rate");
    v.group("batch", batch, "sequences per step");
    v.group("mtp_weight", mtp_weight, "lambda of the MTP loss; over all depths");
    v("mtp_from_normed", mtp_from_normed, "MTP reads the hidden state after the final norm");
    v.group("balance", balance, "load of the experts");
    v.group("optimizer", optimizer, "AdamW");
    v.group("guard", guard, "NaN and loss spikes");
    v.group("recompute", recompute, "what backward computes again instead of keeping it");
    v("ema_decay", ema_decay, "moving average of the weights; 0: none");
  }
};

/// Sequences [first, first + count) of the training stream, as one batch of tokens.
using BatchFn = std::function<Batch(std::int64_t first, std::int64_t count)>;

/// The loss of each micro-batch of a step, in the order of the batches. What they return adds up to the step's main
/// loss.
using LossFn = std::function<std::unique_ptr<HeadLoss>(std::size_t micro_batch)>;

struct StepReport {
  StepMetrics metrics;
  Verdict verdict = Verdict::kOk;
  std::string reason;
  std::int64_t first_sequence = 0, num_sequences = 0;  // of the stream
  std::vector<std::vector<double>> expert_load;        // per MoE layer, over the whole batch
};

/// Optimizer steps over one model (DeepSeek-V3 report 4.2). Everything that a step depends on is in the model, the
/// optimizer, and the state that save() writes, so a resumed run continues bit for bit.
class Trainer {
 public:
  /// lora: train these adapters instead of the weights; must outlive the trainer.
  Trainer(Exec& exec, Model& model, const TrainerOptions& options, RunPosition total, Lora* lora = nullptr);

  /// One optimizer step on the next batch of the stream.
  StepReport step(const BatchFn& batches);
  /// One optimizer step on the gradient of all micro-batches together, which are `sequences` of the stream. Without
  /// `losses`: the cross-entropy, a mean over all targets of the step.
  StepReport step(std::span<const Batch> micro_batches, std::int64_t sequences, const LossFn& losses = {});

  RunPosition position() const { return position_; }
  RunPosition total() const { return total_; }
  bool done() const { return position_.step >= total_.step; }
  std::int64_t sequences() const { return sequences_; }

  Context& context() { return ctx_; }
  Model& model() { return model_; }
  Optimizer& optimizer() { return optimizer_; }
  Ema* ema() { return ema_ ? &*ema_ : nullptr; }
  StepGuard& guard() { return guard_; }

  /// trainer_state.safetensors and trainer_state.json: masters, moments, averages, router bias, place in the stream.
  void save(const std::filesystem::path& folder);
  /// Throws Error when the state does not fit the model. `keep_place`: leave position and stream alone (roll-back).
  void load(const std::filesystem::path& folder, bool keep_place = false);
  /// Bytes that save() writes, about.
  std::int64_t state_bytes() const;

 private:
  std::int64_t micro_size(std::int64_t sequences) const;
  LossPolicy loss_policy(std::int64_t num_targets, std::size_t num_micro) const;

  Exec& exec_;
  Model& model_;
  Lora* lora_;
  TrainerOptions options_;
  RunPosition total_, position_;
  std::int64_t sequences_ = 0, updates_ = 0;
  LrSchedule lr_;
  Optimizer optimizer_;
  StepGuard guard_;
  std::optional<Ema> ema_;
  Arena saved_, scratch_;
  Context ctx_;
};

}  // namespace hadal
