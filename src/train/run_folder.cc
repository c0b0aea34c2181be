#include "train/run_folder.h"

#include <algorithm>
#include <deque>

#include "base/file.h"
#include "base/log.h"
#include "data/corpus/content_hash.h"
#include "formats/safetensors.h"
#include "formats/tokenizer_files.h"
#include "formats/tokenizer_json.h"
#include "nn/weights.h"

namespace hadal {

namespace fs = std::filesystem;

namespace {

JsonObject tokenizer_identity(const Tokenizer& tokenizer) {
  ContentHash hash;
  hash.add(tokenizer_json(tokenizer.files().spec));
  return {{"hash", "xxh3:" + hash.hex()}, {"vocab_size", tokenizer.vocab_size()}};
}

}  // namespace

RunFolder::RunFolder(Exec& exec, Trainer& trainer, RunFolderOptions options, const std::function<void()>& start)
    : exec_(exec), trainer_(trainer), options_(std::move(options)) {
  const fs::path& folder = options_.folder;
  const ModelConfig& config = trainer.model().config();
  for (int layer = 0; layer < config.num_hidden_layers + config.num_nextn_predict_layers; ++layer)
    if (config.is_moe_layer(layer)) moe_layers_.push_back(layer);
  options_.manifest.threads = exec.pool.num_threads();
  options_.manifest.model = parse_json(model_config_json(config), "config").as_object();
  if (options_.tokenizer != nullptr) options_.manifest.tokenizer = tokenizer_identity(*options_.tokenizer);
  const fs::path checkpoints = folder / "checkpoints";
  if (options_.resume) resumed_ = latest_checkpoint(checkpoints);
  if (resumed_) {
    trainer_.load(resumed_->path);
    resume_manifest(folder, options_.manifest, resumed_->step);
    log_info("resumed at step ", resumed_->step, " from ", resumed_->path.string());
  } else {
    HADAL_CHECK(options_.resume || !fs::exists(folder / "manifest.json"), folder.string(),
                " holds a run already; --resume continues it");
    fs::create_directories(folder);
    start();
    trainer_.optimizer().take_masters();
    write_manifest(folder, options_.manifest);
    if (options_.resume) log_info("no checkpoint yet: starting from step 0");
  }
  checkpoints_.emplace(checkpoints, options_.checkpoints);
  metrics_.emplace(folder / "metrics.jsonl", resumed_step());
  for (const char* name : {"samples", "experts", "eval", "guard", "rollouts"})
    if (fs::exists(folder / str_cat(name, ".jsonl"))) log(name);
  events_.emplace(folder / "tensorboard", resumed_step());
}

std::optional<std::int64_t> RunFolder::resumed_step() const {
  return resumed_ ? std::optional(resumed_->step) : std::nullopt;
}

JsonLog& RunFolder::log(const std::string& name) {
  const auto found = logs_.find(name);
  if (found != logs_.end()) return found->second;
  return logs_.emplace(name, JsonLog(options_.folder / (name + ".jsonl"), resumed_step())).first->second;
}

std::optional<Checkpoint> RunFolder::log_step(const StepReport& report, const JsonObject& extra,
                                              const std::function<JsonObject()>& batch) {
  log_metrics(report, extra);
  if (report.reason.empty()) return std::nullopt;
  const std::int64_t step = report.metrics.step;
  log_warning("step ", step, ": ", report.reason, ": ", verdict_name(report.verdict));
  JsonObject line{{"step", step},
                  {"verdict", verdict_name(report.verdict)},
                  {"reason", report.reason},
                  {"first_sequence", report.first_sequence}};
  if (batch)
    for (const auto& [key, value] : batch()) line[key] = value;
  log("guard").write(line);
  if (report.verdict != Verdict::kRollBack) return std::nullopt;
  return roll_back(report.reason);
}

void RunFolder::log_metrics(const StepReport& report, const JsonObject& extra) {
  const StepMetrics& m = report.metrics;
  JsonObject line = to_json(m);
  for (const auto& [key, value] : extra) {
    line[key] = value;
    if (value.is_number()) events_->scalar(str_cat("post/", std::string(key)), m.step, value.to_number<double>());
  }
  metrics_->write(line);
  events_->scalar("loss/total", m.step, m.loss);
  events_->scalar("loss/main", m.step, m.main_loss);
  if (trainer_.model().config().num_nextn_predict_layers > 0) events_->scalar("loss/mtp", m.step, m.mtp_loss);
  events_->scalar("train/lr", m.step, m.lr);
  events_->scalar("train/grad_norm", m.step, m.grad_norm);
  events_->scalar("train/tokens_per_second", m.step, m.tokens_per_second);
  if (report.expert_load.empty()) return;
  events_->scalar("experts/max_violation", m.step, m.max_violation);
  const std::int64_t every = std::max<std::int64_t>(trainer_.total().step / 50, 1);
  if (m.step % every != 0 && !trainer_.done()) return;
  JsonArray load, layers(moe_layers_.begin(), moe_layers_.end());
  for (const std::vector<double>& layer : report.expert_load) load.push_back(JsonArray(layer.begin(), layer.end()));
  log("experts").write({{"step", m.step}, {"layers", layers}, {"load", load}});
}

std::optional<Checkpoint> RunFolder::roll_back(const std::string& reason) {
  std::optional<Checkpoint> latest = latest_checkpoint(options_.folder / "checkpoints");
  if (!latest) {  // the weights are still whole: what was skipped never reached them
    log_warning("step ", trainer_.position().step, ": ", reason,
                ", and there is no checkpoint to go back to; going on");
    return std::nullopt;
  }
  log_warning("going back to the weights of step ", latest->step, "; the stream goes on");
  trainer_.load(latest->path, /*keep_place=*/true);
  return latest;
}

fs::path RunFolder::save(const std::function<void(const fs::path&)>& extra) {
  Model& model = trainer_.model();
  const std::int64_t bytes = trainer_.state_bytes() + model.num_parameters() * 4;
  return checkpoints_->write(trainer_.position().step, bytes, [&](const fs::path& folder) {
    ModelConfig config = model.config();
    config.fp8.reset();
    const DType dtype = parse_dtype(options_.checkpoint_dtype);
    config.torch_dtype = dtype == DType::kF32 ? "float32" : dtype == DType::kF16 ? "float16" : "bfloat16";
    // Wider than the weights are: from the masters.
    std::deque<Tensor> masters;
    const auto master = [&](const Param& p) -> ConstView {
      if (dtype == p.value.dtype) return p.value;
      return trainer_.optimizer().master_of(exec_, p, masters.emplace_back());
    };
    write_safetensors_folder(folder, weights_to_write(model, dtype, master));
    write_file_atomically(folder / "config.json", model_config_json(config));
    write_tokenizer_files(folder, options_.tokenizer->files());
    trainer_.save(folder);
    if (extra) extra(folder);
  });
}

bool RunFolder::due(std::int64_t every) const {
  return every > 0 && trainer_.position().step % every == 0 && !trainer_.done();
}

}  // namespace hadal
