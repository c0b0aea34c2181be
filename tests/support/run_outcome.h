#pragma once
#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "train/checkpoint_dir.h"
#include "train/metrics.h"

namespace hadal {

/// What must be equal between two runs: every metric but the times, and the bytes of every file of the last checkpoint
/// that holds weights or a state.
inline std::string outcome(const std::filesystem::path& run) {
  std::string text;
  for (const JsonObject& line : read_json_log(run / "metrics.jsonl")) {
    JsonObject kept;
    for (const auto& [key, value] : line)
      if (!key.ends_with("seconds") && key != "tokens_per_second") kept[key] = value;
    text += json_line(kept) + "\n";
  }
  const auto latest = latest_checkpoint(run / "checkpoints");
  if (!latest) return text + "no checkpoint";
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(latest->path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors") || name.ends_with("_state.json")) files.insert(entry.path());
  }
  for (const std::filesystem::path& file : files) text += read_file(file);
  return text;
}

}  // namespace hadal
