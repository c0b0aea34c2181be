#pragma once
// The folder of a run, whatever it trains on: manifest, metrics and other logs, checkpoints, resume. train/run.h and
// all of post/ write theirs through this.
#include <map>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "train/checkpoint_dir.h"
#include "train/event_file.h"
#include "train/manifest.h"
#include "train/trainer.h"

namespace hadal {

struct RunFolderOptions {
  std::filesystem::path folder;
  bool resume = false;
  RunManifest manifest;  // threads and model: RunFolder knows them
  CheckpointOptions checkpoints;
  std::string checkpoint_dtype = "bf16";
  const Tokenizer* tokenizer = nullptr;
};

class RunFolder {
 public:
  /// Resuming: loads the newest checkpoint into the trainer, and cuts every log off behind it. Otherwise, or when there
  /// is none yet, calls `start`, which gives the model its first weights; then the folder must hold no run (unless it
  /// is resumed before its first checkpoint).
  RunFolder(Exec& exec, Trainer& trainer, RunFolderOptions options, const std::function<void()>& start);

  /// The checkpoint that was resumed.
  const std::optional<Checkpoint>& resumed() const { return resumed_; }

  /// A step that is done: metrics.jsonl (with the keys of `extra` behind the usual ones), TensorBoard, and now and then
  /// experts.jsonl. One that stood out also gets a warning and a line in guard.jsonl, with what `batch` says of its
  /// data; and where the verdict is to roll back, the trainer goes back to the newest checkpoint's weights, while its
  /// place in the stream stays. Returns that checkpoint then.
  std::optional<Checkpoint> log_step(const StepReport& report, const JsonObject& extra = {},
                                     const std::function<JsonObject()>& batch = {});
  /// One of the other *.jsonl files ("eval"), cut off at the step that was resumed.
  JsonLog& log(const std::string& name);
  EventFile& events() { return *events_; }
  /// Writes checkpoints/step-N: a model folder, and what resuming needs. `extra` may add files.
  std::filesystem::path save(const std::function<void(const std::filesystem::path&)>& extra = {});
  /// Whether something that is done every so many steps is due now; never at the end.
  bool due(std::int64_t every) const;
  std::int64_t checkpoint_every() const { return options_.checkpoints.every; }

 private:
  void log_metrics(const StepReport& report, const JsonObject& extra);
  std::optional<std::int64_t> resumed_step() const;
  std::optional<Checkpoint> roll_back(const std::string& reason);

  Exec& exec_;
  Trainer& trainer_;
  RunFolderOptions options_;
  std::vector<int> moe_layers_;  // numbers, MTP ones last
  std::optional<Checkpoint> resumed_;
  std::optional<CheckpointDir> checkpoints_;
  std::optional<JsonLog> metrics_;
  std::map<std::string, JsonLog> logs_;
  std::optional<EventFile> events_;
};

}  // namespace hadal
