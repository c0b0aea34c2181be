#pragma once
// report.html of a run folder: one file without anything from outside, made from what the run wrote:
//   manifest.json   train/manifest.h
//   metrics.jsonl   one line per step; every key with numbers gets a chart
//   eval.jsonl      {"step", "loss", "bits_per_byte"}: held-out text; optional
//   experts.jsonl   {"step", "layers": [3, 4], "load": [[tokens per expert], ...]}: one row per MoE layer; optional
//   samples.jsonl   {"step", "prompt", "text"}; optional
//   needle.jsonl    {"step", "label", "lengths": [tokens], "depths": [0..1], "scores": [depth][length] of 0..1};
//   optional guard.jsonl     {"step", "verdict", "reason"}; optional
#include <filesystem>
#include <string>

#include "base/json.h"
#include "base/options.h"

namespace hadal {

/// What the page shows, thinned to a size that a browser draws at once (at most about 1500 points per line and 200
/// moments of the experts' load). Missing files are left out. Throws Error when the folder is none or a file is broken
/// beyond its last line.
JsonObject report_data(const std::filesystem::path& run_folder);

/// The page with `data` inside.
std::string report_page(const JsonObject& data);

/// Writes run_folder/report.html, atomically, and returns its path.
std::filesystem::path write_report(const std::filesystem::path& run_folder);

/// hadal report RUN
int cmd_report(Args args);

}  // namespace hadal
