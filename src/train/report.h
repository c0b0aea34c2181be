#pragma once
// report.html of a run folder: one file without anything from outside, made from what the run wrote:
//   manifest.json     train/manifest.h
//   metrics.jsonl     one line per step; every key with numbers gets a chart, "skipped" (a reason) marks the step
//   validation.jsonl  {"step", "loss", "bits_per_byte", "bits_per_byte_by_position": equal parts of a sequence};
//   optional experts.jsonl     {"step", "load": [[tokens per expert] per MoE layer]}; optional samples.jsonl {"step",
//   "prompt", "text"}; optional extension.json    of a context extension, whose metrics are those of phase-1/,
//   phase-2/, ... one after the other:
//                     "seq_length", lists of bits per byte by position, "needle_before" and "needle_after"
//                     {"lengths", "depths", "scores": [length][depth] of 0..10}; optional
#include <filesystem>
#include <string>

#include "base/json.h"
#include "base/options.h"

namespace hadal {

/// What the page shows, thinned to a size that a browser draws at once (at most about 1500 points per line and 200
/// moments of the experts' load). Missing files are left out. Throws Error when the folder is none or a file is broken
/// beyond its last line.
JsonObject report_data(const std::filesystem::path& run_folder);

/// The numbers of metrics.jsonl as columns, {"step": [...], "loss": [...], ...}, thinned in the same way.
JsonObject metric_columns(const std::filesystem::path& run_folder);

/// A page with `data` inside, which has a "name", drawn by a script that may use what report/report.js defines: `data`,
/// `root`, el, card, lineChart, ...
std::string report_page(const JsonObject& data, std::string_view script);

/// Writes run_folder/report.html, atomically, and returns its path.
std::filesystem::path write_report(const std::filesystem::path& run_folder);

/// hadal report RUN
int cmd_report(Args args);

}  // namespace hadal
