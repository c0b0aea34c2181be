#pragma once
// Reinforcement learning of a language model on questions whose answers can be graded: GRPO and its relatives, PPO with
// a critic. One step: explore (sample and grade groups of answers), then update (minibatches of the policy's loss).
#include <optional>
#include <string>

#include "post/advantage.h"
#include "post/critic.h"
#include "post/exploration.h"
#include "post/policy_loss.h"
#include "post/post_run.h"

namespace hadal {

/// Defaults of TrainerOptions for reinforcement learning: a constant rate, no MTP, no judging of losses (they have no
/// trend).
TrainerOptions grpo_trainer_options();

struct GrpoOptions {
  std::string model, out, checkpoint_dtype = "bf16", old_log_probs = "rollout", rollout_cache = "training";
  std::int64_t steps = 100, seed = 1, validation_every = 0, reference_every = 0;
  int threads = 0, minibatches = 1, inner_epochs = 1, micro_tokens = 8192, max_batch = 64, validation_samples = 0;
  bool resume = false, json = false, log_samples = true;
  double entropy_weight = 0;
  ExplorationOptions exploration;
  RolloutOptions rollout;
  AdvantageOptions advantage;
  PolicyLossOptions loss;
  CriticOptions critic;
  LoraOptions lora;
  TrainerOptions trainer = grpo_trainer_options();
  CheckpointOptions checkpoints;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder to start from", {.required = true, .placeholder = "DIR"});
    v("out", out, "run folder", {.required = true, .placeholder = "DIR"});
    v("steps", steps, "optimizer steps of the whole run");
    v("seed", seed, "of the order of questions and of the answers");
    exploration.visit(v);
    v.group("rollout", rollout, "how answers are drawn");
    v.group("advantage", advantage, "rewards -> advantages");
    v.group("loss", loss, "the policy's objective");
    v("entropy_weight", entropy_weight, "of a bonus for the policy's entropy");
    v("minibatches", minibatches, "optimizer steps for each pass over the answers of an exploration");
    v("inner_epochs", inner_epochs, "passes over them");
    v("rollout_cache", rollout_cache,
      "of latent attention. training: keys and values of every head where they fit, the bits of the training pass; "
      "latent: as serving has it, smaller and faster",
      {.choices = {"training", "latent"}});
    v("old_log_probs", old_log_probs, "of the policy that sampled: as the engine had them, or computed again",
      {.choices = {"rollout", "recompute"}});
    v("reference_every", reference_every, "steps after which the reference becomes the policy (R1: 400); 0: never");
    v.group("critic", critic, "with advantage.estimator gae");
    v.group("lora", lora, "train low-rank adapters instead of all weights; the reference is the model without them");
    v("micro_tokens", micro_tokens, "tokens that go through the model together in an update");
    v("max_batch", max_batch, "answers that decode together");
    v("precision", trainer.precision, "recipe of the operands, of training and sampling alike",
      {.choices = {"f32", "bf16", "fp8"}});
    v.group("lr", trainer.lr, "learning rate");
    v.group("optimizer", trainer.optimizer, "AdamW");
    v.group("balance", trainer.balance, "load of the experts");
    v.group("guard", trainer.guard, "NaN and loss spikes");
    v.group("recompute", trainer.recompute, "what backward computes again instead of keeping it");
    v("validation_every", validation_every, "steps between evaluations on held-out questions; 0: only first and last");
    v("validation_samples", validation_samples, "answers to each besides the greedy one, for pass@k; 0: none");
    v("log_samples", log_samples, "write every answer to samples.jsonl");
    v.group("checkpoints", checkpoints, "when to save");
    v("checkpoint_dtype", checkpoint_dtype, "of the weights in checkpoints; masters are kept beside them",
      {.choices = {"bf16", "f32", "f16"}});
    v("threads", threads, "0: all CPUs");
    v("resume", resume, "continue the run of the folder");
    v("json", json, "print the result as JSON");
  }
};

/// What a run works on.
struct GrpoInputs {
  Questions train, validation;  // validation may be empty
  /// Names for the logs: of a question, and of its class ("" for none).
  std::function<std::string(bool validation, std::int64_t question)> id_of, class_of;
  JsonObject options, data;  // for the manifest; data has a "hash"
};

/// Runs until the end, a signal or an Error. A signal ends an exploration at once, and nothing of it stays: the resumed
/// run repeats it. Checkpoints lie between explorations, and a resumed run goes on bit for bit.
PostResult run_grpo(Exec& exec, const GrpoOptions& options, Model& model, const Tokenizer& tokenizer,
                    const GrpoInputs& inputs);

}  // namespace hadal
