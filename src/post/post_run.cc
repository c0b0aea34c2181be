#include "post/post_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/permutation.h"
#include "nn/weights.h"
#include "train/report.h"
#include "train/stop_signal.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

Tokenizer tokenizer_with(const fs::path& folder, const std::string& chat_template) {
  TokenizerFiles files = load_tokenizer_files(folder);
  if (!chat_template.empty()) files.config.chat_template = chat_template;
  return Tokenizer(std::move(files));
}

/// "loss 0.6931  accuracy 0.500  1.2k tok/s"
std::string note(const StepReport& report, const JsonObject& extra) {
  std::string text = fmt::format("loss {:.4f}", report.metrics.main_loss);
  for (const auto& [key, value] : extra)
    if (value.is_double()) text += fmt::format("  {} {:.3f}", std::string(key), value.as_double());
  return text + fmt::format("  {} tok/s", count_text(report.metrics.tokens_per_second));
}

}  // namespace

TrainerOptions post_trainer_options() {
  TrainerOptions o;
  o.seq_length = 4096, o.micro_sequences = 1;  // a batch of long sequences at once would fill any memory
  o.lr = {.kind = "cosine", .lr = 1e-5, .warmup_steps = 10, .progress = "steps"};
  o.mtp_weight = {.first = 0, .then = 0, .at = 1};
  o.balance.bias_speed = {.first = 0.001, .then = 0.001, .at = 1};
  o.optimizer.weight_decay = 0;
  return o;
}

std::int64_t shuffled_item(std::int64_t n, std::int64_t seed, std::int64_t place) {
  const Permutation order(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(seed),
                          static_cast<std::uint64_t>(place / n));
  return static_cast<std::int64_t>(order(static_cast<std::uint64_t>(place % n)));
}

PostRun::PostRun(Exec& exec, const PostRunOptions& options, const std::string& chat_template,
                 std::optional<ModelConfig> config)
    : exec_(exec),
      o_(options),
      tokenizer_(tokenizer_with(options.model, chat_template)),
      model_(config ? *config : load_model_config(options.model), Precision::parse(options.trainer.precision),
             /*train=*/true),
      ctx_{exec, saved_, scratch_, model_.precision(), {}} {
  const ModelConfig& c = model_.config();
  HADAL_CHECK(tokenizer_.vocab_size() <= c.vocab_size, "the tokenizer has ", tokenizer_.vocab_size(),
              " tokens, the model's vocab_size is ", c.vocab_size);
  HADAL_CHECK(o_.trainer.seq_length <= c.max_position_embeddings, "seq_length ", o_.trainer.seq_length,
              " exceeds max_position_embeddings ", c.max_position_embeddings);
  load_weights(model_, exec, options.model,
               /*new_head=*/c.scalar_head && !load_model_config(options.model).scalar_head);
  lora_ = make_lora(exec, model_, options.lora, static_cast<std::uint64_t>(o_.seed));
}

PostResult PostRun::go(PostTask& task, const std::string& verb, const JsonObject& options, const JsonObject& data) {
  const fs::path folder = o_.out;
  const std::int64_t items = o_.trainer.batch.sequences, micro_option = o_.trainer.micro_sequences,
                     micro = micro_option > 0 ? std::min<std::int64_t>(micro_option, items) : items;
  HADAL_CHECK(items > 0, "batch.sequences: got ", items, ", want at least 1");
  HADAL_CHECK(o_.trainer.batch.ramp_from == 0, "batch.ramp_from: got ", o_.trainer.batch.ramp_from,
              "; the batch does not grow in post-training");
  HADAL_CHECK(o_.steps > 0 || o_.epochs > 0, "give steps or epochs");
  const auto epochs_items =
      static_cast<std::int64_t>(std::ceil(o_.epochs * static_cast<double>(task.items_per_epoch())));
  const std::int64_t steps = o_.steps > 0 ? o_.steps : (epochs_items + items - 1) / items;
  Trainer trainer(exec_, model_, o_.trainer, {steps, steps * items * o_.trainer.seq_length}, lora_.get());

  RunFolder run(exec_, trainer,
                {.folder = folder,
                 .resume = o_.resume,
                 .manifest = {.verb = verb, .options = options, .seed = o_.seed, .data = data},
                 .checkpoints = o_.checkpoints,
                 .checkpoint_dtype = o_.checkpoint_dtype,
                 .tokenizer = &tokenizer_},
                [] {});

  PostResult result;
  const auto validate = [&] {
    result.validation = task.validate(trainer.context(), model_);
    if (result.validation.empty()) return;
    JsonObject line{{"step", trainer.position().step}};
    for (const auto& [key, value] : result.validation) line[key] = value;
    run.log("eval").write(line);
    log_info("step ", trainer.position().step, ": validation ", json_line(result.validation));
  };
  const auto save = [&] {
    result.model = run.save([&](const fs::path& to) {
      if (lora_) lora_->save(to / "adapter", o_.model);
    });
  };

  const StopSignal stop;
  Progress progress(verb, steps, "step", trainer.position().step);
  while (!trainer.done() && !StopSignal::requested()) {
    const std::int64_t first = trainer.sequences();
    task.begin_step(first, items);
    std::vector<Batch> batches;
    for (std::int64_t at = 0; at < items; at += micro)
      batches.push_back(task.batch(first + at, std::min(micro, items - at)));
    const StepReport report = trainer.step(batches, items, [&](std::size_t i) {
      const std::int64_t at = static_cast<std::int64_t>(i) * micro;
      return task.loss(first + at, std::min(micro, items - at), items);
    });
    const JsonObject extra = task.step_metrics();
    result.metrics = to_json(report.metrics);
    for (const auto& [key, value] : extra) result.metrics[key] = value;
    run.log_step(report, extra);
    progress.update(trainer.position().step, note(report, extra));
    if (run.due(o_.validation_every)) validate();
    if (run.due(o_.checkpoints.every)) save();
  }
  progress.finish();
  result.finished = trainer.done();
  if (result.finished)
    validate();
  else
    log_info("stopped at step ", trainer.position().step, "; --resume continues");
  save();
  write_report(folder);
  return result;
}

void print_result(const PostRunOptions& options, const PostResult& result) {
  if (options.json) {
    fmt::print("{}\n", json_line(JsonObject{{"finished", result.finished},
                                            {"model", result.model.string()},
                                            {"metrics", result.metrics},
                                            {"validation", result.validation}}));
    return;
  }
  fmt::print("model: {}\n", result.model.string());
  if (!result.validation.empty()) fmt::print("validation: {}\n", json_line(result.validation));
  fmt::print("report: {}/report.html\n", options.out);
}

}  // namespace hadal
