#pragma once
// Which of a teacher's answers a student learns from (rejection rules of DeepSeek-R1, section 2.3.3).
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace hadal {

struct TraceFilterOptions {
  bool only_correct = true, need_reasoning = false, code_in_reasoning = true;
  double min_reward = 0, max_other_script = 1;
  std::int64_t max_paragraph = 0, max_per_prompt = 0;
  template <class V>
  void visit(V&& v) {
    v("only_correct", only_correct, "drop traces that say \"correct\": false");
    v("min_reward", min_reward, "drop traces whose \"reward\" is lower; those without one stay");
    v("need_reasoning", need_reasoning, "drop traces whose last answer has no reasoning");
    v("code_in_reasoning", code_in_reasoning, "keep traces with code blocks in their reasoning");
    v("max_other_script", max_other_script,
      "drop traces whose reasoning mixes languages: share of letters outside its main script (Latin, Han, other)");
    v("max_paragraph", max_paragraph, "drop traces with a longer paragraph in their reasoning, in bytes; 0: no limit");
    v("max_per_prompt", max_per_prompt, "traces kept of each prompt, the first ones; 0: all");
  }
};

/// Why a trace is dropped; empty: it is kept. Looks at one record alone.
std::string trace_fault(const Json& record, const TraceFilterOptions& options);

struct TraceCounts {
  std::int64_t read = 0, kept = 0;
  std::map<std::string, std::int64_t> dropped;  // by reason; "duplicate" and "enough of this prompt" among them
  JsonObject to_json() const;
  /// Throws Error, with all reasons, when none is kept.
  void check() const;
};

/// Writes the records of `inputs` that are worth learning from to `out`, as JSON lines in their order, atomically.
/// When none is there is no such file afterwards.
TraceCounts filter_traces(const std::vector<std::string>& inputs, const TraceFilterOptions& options,
                          const std::filesystem::path& out);

/// Of the letters of a text, the share that is not of its most frequent script; 0 without letters.
double other_script_share(std::string_view text);

}  // namespace hadal
