#include "train/run.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/log.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "data/packed_loader.h"
#include "kernels/roofline.h"
#include "nn/generate.h"
#include "nn/weights.h"
#include "tensor/wide.h"
#include "train/report.h"
#include "train/run_folder.h"
#include "train/stop_signal.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// The state of one run; run_training is its only user.
class Run {
 public:
  Run(Exec& exec, const RunOptions& options, const RunInputs& inputs, fs::path folder, bool resume)
      : exec_(exec),
        o_(options),
        in_(inputs),
        folder_(std::move(folder)),
        resume_(resume),
        model_(inputs.config, Precision::parse(options.trainer.precision), /*train=*/true),
        trainer_(exec, model_, options.trainer,
                 plan_run(options.trainer.batch, options.trainer.seq_length, options.steps, options.tokens)),
        total_(plan_run(options.trainer.batch, options.trainer.seq_length, options.steps, options.tokens)),
        train_(source(Split::kTrain)),
        validation_(source(Split::kValidation)) {
    token_bytes_ = in_.tokenizer->text_bytes_per_token();
    token_bytes_.resize(static_cast<std::size_t>(in_.config.vocab_size), 0);
  }

  RunResult go();

 private:
  /// The sequences of one side; nullptr: there is no validation text.
  std::unique_ptr<BatchSource> source(Split split) const;
  std::uint64_t seed() const { return static_cast<std::uint64_t>(o_.seed); }
  void begin();
  void one_step();
  JsonObject batch_of(const StepReport& report) const;
  std::string note() const;
  void run_validation();
  void run_samples();

  Exec& exec_;
  const RunOptions& o_;
  const RunInputs& in_;
  fs::path folder_;
  bool resume_;
  Model model_;
  Trainer trainer_;
  RunPosition total_;
  std::unique_ptr<BatchSource> train_, validation_;
  std::vector<int> token_bytes_;
  std::optional<RunFolder> run_folder_;
  RunResult result_;
  double tokens_per_second_ = 0;
  double roof_ = 0, flops_per_token_ = 0;  // of this machine; of this model
};

std::unique_ptr<BatchSource> Run::source(Split split) const {
  const bool train = split == Split::kTrain;
  if (in_.packed.empty()) {
    if (!train && o_.loader.validation_share == 0) return nullptr;
    return std::make_unique<Loader>(*in_.shard, o_.loader, seed(), split, o_.trainer.seq_length,
                                    in_.tokenizer->bos_id(), in_.tokenizer->eos_id());
  }
  const std::span<const TokenShard> shards = train ? in_.packed : in_.packed_validation;
  if (shards.empty()) return nullptr;
  const int pad = std::max(in_.tokenizer->pad_id(), 0);  // has no target, so any id will do
  auto packed = std::make_unique<PackedLoader>(shards, seed(), o_.loader.mask_documents, pad);
  HADAL_CHECK(packed->sequence_length() == o_.trainer.seq_length, "seq_length is ", o_.trainer.seq_length,
              ", the corpus is packed into sequences of ", packed->sequence_length());
  return packed;
}

void Run::begin() {
  run_folder_.emplace(
      exec_, trainer_,
      RunFolderOptions{.folder = folder_,
                       .resume = resume_,
                       .manifest = {.verb = in_.verb, .options = in_.options, .seed = o_.seed, .data = in_.data},
                       .checkpoints = o_.checkpoints,
                       .checkpoint_dtype = o_.checkpoint_dtype,
                       .tokenizer = in_.tokenizer},
      [&] {
        if (!in_.weights.empty()) return load_weights(model_, exec_, in_.weights);
        model_.init(seed());
        model_.refresh(exec_);
      });
  roof_ =
      kernels::measure_roof(exec_, o_.trainer.precision == "f32" ? kernels::RoofKind::kF32 : kernels::RoofKind::kBF16);
  flops_per_token_ = training_flops_per_token(in_.config, o_.trainer.seq_length);
}

void Run::one_step() {
  const StepReport report =
      trainer_.step([&](std::int64_t first, std::int64_t count) { return train_->batch(first, count); });
  const StepMetrics& m = report.metrics;
  run_folder_->log_step(report, {}, [&] { return batch_of(report); });
  result_.loss = m.main_loss;
  tokens_per_second_ = m.tokens_per_second;
}

/// The batch of a step that stood out, whole, so that its text can be looked at.
JsonObject Run::batch_of(const StepReport& report) const {
  const Batch batch = train_->batch(report.first_sequence, report.num_sequences);
  JsonArray ids, text;
  for (std::size_t s = 0; s + 1 < batch.sequence_begins.size(); ++s) {
    const std::span<const int> sequence(batch.ids.data() + batch.sequence_begins[s],
                                        batch.ids.data() + batch.sequence_begins[s + 1]);
    ids.push_back(JsonArray(sequence.begin(), sequence.end()));
    text.push_back(Json(replace_ill_formed(in_.tokenizer->decode(sequence))));
  }
  return {{"ids", ids}, {"text", text}};
}

/// What the progress line says of the last step.
std::string Run::note() const {
  const double share = roof_ > 0 ? tokens_per_second_ * flops_per_token_ / roof_ : 0;
  return fmt::format("loss {:.4f}  {} tok/s  {:.0f}% of the GEMM roof", result_.loss, count_text(tokens_per_second_),
                     100 * share);
}

void Run::run_validation() {
  if (!validation_) return;
  const std::int64_t step = trainer_.position().step;
  const Validation v = validate(trainer_.context(), model_, *validation_, o_.validation.sequences, 8, token_bytes_);
  result_.validation_loss = v.loss, result_.bits_per_byte = v.bits_per_byte;
  run_folder_->log("eval").write({{"step", step},
                                  {"loss", v.loss},
                                  {"bits_per_byte", v.bits_per_byte},
                                  {"bits_per_byte_by_position",
                                   JsonArray(v.bits_per_byte_by_position.begin(), v.bits_per_byte_by_position.end())}});
  run_folder_->events().scalar("validation/loss", step, v.loss);
  run_folder_->events().scalar("validation/bits_per_byte", step, v.bits_per_byte);
  log_info("step ", step, ": validation loss ", fmt::format("{:.4f}", v.loss), ", ",
           fmt::format("{:.4f}", v.bits_per_byte), " bits per byte");
}

void Run::run_samples() {
  const std::int64_t step = trainer_.position().step;
  for (std::size_t i = 0; i < o_.samples.prompts.size(); ++i) {
    std::vector<int> prompt = in_.tokenizer->encode(o_.samples.prompts[i]);
    if (prompt.empty()) continue;
    const int room = in_.config.max_position_embeddings - static_cast<int>(prompt.size());
    const std::vector<int> tokens = generate(trainer_.context(), model_, prompt, std::min(o_.samples.max_tokens, room),
                                             {o_.samples.temperature, o_.samples.top_p, seed() + i});
    const std::string text = replace_ill_formed(in_.tokenizer->decode(tokens, /*skip_special=*/true));
    run_folder_->log("samples").write({{"step", step}, {"prompt", o_.samples.prompts[i]}, {"text", text}});
    run_folder_->events().text("samples", step, o_.samples.prompts[i] + text);
    log_info("sample: ", o_.samples.prompts[i], "|", text);
  }
}

RunResult Run::go() {
  begin();
  const StopSignal stop;
  Progress progress(in_.verb, total_.step, "step", trainer_.position().step);
  while (!trainer_.done() && !StopSignal::requested()) {
    one_step();
    progress.update(trainer_.position().step, note());
    if (run_folder_->due(o_.validation.every)) run_validation();
    if (run_folder_->due(o_.samples.every)) run_samples();
    if (run_folder_->due(o_.checkpoints.every)) result_.model = run_folder_->save();
  }
  progress.finish();
  result_.finished = trainer_.done();
  if (result_.finished) {
    run_validation();
    run_samples();
  } else {
    log_info("stopped at step ", trainer_.position().step, "; --resume continues");
  }
  result_.model = run_folder_->save();
  write_report(folder_);
  return result_;
}

}  // namespace

Validation validate(Context& ctx, Model& model, const BatchSource& source, std::int64_t sequences, std::int64_t batch,
                    const std::vector<int>& token_bytes) {
  constexpr std::size_t kParts = 8;
  Validation v;
  double part_loss[kParts] = {}, part_bytes[kParts] = {};
  double loss_sum = 0, bytes_sum = 0;
  std::int64_t targets = 0;
  for (std::int64_t first = 0; first < sequences; first += batch) {
    const Batch b = source.batch(first, std::min(batch, sequences - first));
    ctx.saved.reset();
    ctx.scratch.reset();
    const auto num_tokens = static_cast<index_t>(b.ids.size());
    const View loss = ctx.keep_wide(1, num_tokens);
    model.evaluate(ctx, loss, b);
    const index_t length = b.sequence_begins[1] - b.sequence_begins[0];
    for (index_t i = 0; i < num_tokens; ++i) {
      const int target = b.targets[static_cast<std::size_t>(i)];
      if (target < 0) continue;
      const double nats = wide_at(loss, 0, i);
      const double bytes = token_bytes[static_cast<std::size_t>(target)];
      const auto part = static_cast<std::size_t>(i % length * static_cast<index_t>(kParts) / length);
      loss_sum += nats, bytes_sum += bytes, ++targets;
      part_loss[part] += nats, part_bytes[part] += bytes;
    }
  }
  const auto bits = [](double nats, double bytes) { return bytes > 0 ? nats / std::numbers::ln2 / bytes : 0; };
  v.loss = loss_sum / static_cast<double>(std::max<std::int64_t>(targets, 1));
  v.bits_per_byte = bits(loss_sum, bytes_sum);
  for (std::size_t p = 0; p < kParts; ++p) v.bits_per_byte_by_position.push_back(bits(part_loss[p], part_bytes[p]));
  return v;
}

RunResult run_training(Exec& exec, const RunOptions& options, const RunInputs& inputs, const fs::path& folder,
                       bool resume) {
  HADAL_CHECK(inputs.tokenizer->vocab_size() <= inputs.config.vocab_size, "the tokenizer has ",
              inputs.tokenizer->vocab_size(), " tokens, the model's vocab_size is ", inputs.config.vocab_size);
  HADAL_CHECK(options.trainer.seq_length <= inputs.config.max_position_embeddings, "seq_length ",
              options.trainer.seq_length, " exceeds max_position_embeddings ", inputs.config.max_position_embeddings);
  return Run(exec, options, inputs, folder, resume).go();
}

}  // namespace hadal
