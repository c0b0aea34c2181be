#pragma once
// One post-training run, whatever its loss: a model folder to start from, items in a shuffled stream, steps, metrics,
// validation, checkpoints, resume bit for bit, and a report. SFT, DPO, reward models and distillation are tasks of it.
#include <memory>
#include <optional>
#include <string>

#include "train/run.h"
#include "train/run_folder.h"

namespace hadal {

/// Defaults of TrainerOptions for fine-tuning: a low rate with a cosine over the steps, no MTP, no weight decay.
TrainerOptions post_trainer_options();

struct PostRunOptions {
  std::string model, out;
  std::int64_t steps = 0, seed = 1, validation_every = 0;
  double epochs = 1;
  int threads = 0;
  bool resume = false, json = false;
  TrainerOptions trainer = post_trainer_options();
  LoraOptions lora;
  CheckpointOptions checkpoints;
  std::string checkpoint_dtype = "bf16";
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder to start from", {.required = true, .placeholder = "DIR"});
    v("out", out, "run folder", {.required = true, .placeholder = "DIR"});
    v("epochs", epochs, "times that each item is trained on");
    v("steps", steps, "optimizer steps; 0: as the epochs say");
    v("seed", seed, "of the order of items and of new weights");
    trainer.visit(v);
    v.group("lora", lora, "train low-rank adapters instead of all weights");
    v.group("checkpoints", checkpoints, "when to save");
    v("checkpoint_dtype", checkpoint_dtype, "of the weights in checkpoints; masters are kept beside them",
      {.choices = {"bf16", "f32", "f16"}});
    v("validation_every", validation_every, "steps between validations; 0: only at the end");
    v("threads", threads, "0: all CPUs");
    v("resume", resume, "continue the run of the folder");
    v("json", json, "print the result as JSON");
  }
};

/// What a run trains on. Items are what batch.sequences counts: packed sequences, pairs, groups of answers.
class PostTask {
 public:
  virtual ~PostTask() = default;
  virtual std::int64_t items_per_epoch() const = 0;
  /// Called before a step on items [first, first + count) of the stream.
  virtual void begin_step(std::int64_t /*first*/, std::int64_t /*count*/) {}
  /// Items [first, first + count) of the stream as one micro-batch; a function of its arguments and what begin_step
  /// did.
  virtual Batch batch(std::int64_t first, std::int64_t count) = 0;
  /// The loss of that micro-batch, scaled so that those of the step add up; nullptr: cross-entropy of the targets, mean
  /// over all targets of the step. step_items: items of the whole step.
  virtual std::unique_ptr<HeadLoss> loss(std::int64_t /*first*/, std::int64_t /*count*/, std::int64_t /*step_items*/) {
    return nullptr;
  }
  /// Further keys of the step's line in metrics.jsonl; resets what the losses counted.
  virtual JsonObject step_metrics() { return {}; }
  /// Results on held-out items; empty: there are none.
  virtual JsonObject validate(Context& /*ctx*/, Model& /*model*/) { return {}; }
};

/// Element `place` of an endless stream over n items, each epoch in an order of its own.
std::int64_t shuffled_item(std::int64_t n, std::int64_t seed, std::int64_t place);

struct PostResult {
  bool finished = false;        // false: stopped by a signal
  std::filesystem::path model;  // the last checkpoint
  JsonObject metrics;           // of the last step
  JsonObject validation;
};

class PostRun {
 public:
  /// Loads the model of options.model; `config`: when it is to be another than the folder's (a new scalar head).
  /// chat_template: goes into the checkpoints' tokenizer; empty: stays.
  PostRun(Exec& exec, const PostRunOptions& options, const std::string& chat_template = {},
          std::optional<ModelConfig> config = std::nullopt);

  Exec& exec() { return exec_; }
  Model& model() { return model_; }
  Tokenizer& tokenizer() { return tokenizer_; }
  /// For work on the model outside of steps.
  Context& context() { return ctx_; }

  /// The whole run. verb, options, data: for the manifest; data needs a "hash" for what must not change on resume.
  PostResult go(PostTask& task, const std::string& verb, const JsonObject& options, const JsonObject& data);

 private:
  Exec& exec_;
  const PostRunOptions& o_;
  Tokenizer tokenizer_;
  Model model_;
  std::unique_ptr<Lora> lora_;
  Arena saved_, scratch_;
  Context ctx_;
};

/// What a verb prints at its end.
void print_result(const PostRunOptions& options, const PostResult& result);

}  // namespace hadal
