#pragma once
// What a run writes while it runs: metrics.jsonl and the other *.jsonl files of its folder, one JSON object per line.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"

namespace hadal {

/// One line per optimizer step in metrics.jsonl. `step` counts steps that are done, so the first line has 1, and a
/// checkpoint step-N goes with the line of step N. Scripts rely on the names of the keys.
struct StepMetrics {
  std::int64_t step = 0;
  std::int64_t tokens = 0;    // trained on so far, with this step
  double loss = 0.0;          // main + mtp + balance, as they are summed for the gradient
  double main_loss = 0.0;     // mean cross-entropy of the next token, nats
  double mtp_loss = 0.0;      // weighted, as it enters `loss`
  double balance_loss = 0.0;  // weighted, as it enters `loss`
  double lr = 0.0;
  double grad_norm = 0.0;  // global, before clipping
  double tokens_per_second = 0.0;
  double max_violation = 0.0;  // largest over layers of max load / mean load - 1
};

JsonObject to_json(const StepMetrics& metrics);

/// Appends JSON lines to a file; each line reaches the system with one write, so a killed run loses no finished line.
/// Every line is an object with an integer "step".
class JsonLog {
 public:
  /// Opens or creates `path`. Of an earlier run, the lines with step <= keep_until stay, up to the first that is torn
  /// or no such object; the rest is cut off. Without keep_until the file starts empty. Throws Error.
  /// A run that is resumed where it evaluated last does so again: lines of steps that stayed are not written twice.
  explicit JsonLog(std::filesystem::path path, std::optional<std::int64_t> keep_until = std::nullopt);
  ~JsonLog();
  JsonLog(JsonLog&& other) noexcept;
  JsonLog& operator=(JsonLog&& other) = delete;

  /// Throws Error when the line has no integer "step" or the disk refuses it; then no part of the line stays.
  void write(const JsonObject& line);

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::optional<std::int64_t> kept_;  // the last step that stayed
};

/// The objects of a file that JsonLog wrote, up to the first torn line; empty when there is no such file.
std::vector<JsonObject> read_json_log(const std::filesystem::path& path);

}  // namespace hadal
