#pragma once
// Rejection sampling (DeepSeek-R1, 2.3.3): several answers to every question, the right and readable ones kept as
// conversations for fine-tuning.
#include <string>

#include "infer/loaded_model.h"
#include "post/rollout.h"
#include "post/scorers.h"
#include "post/task_prompts.h"
#include "post/traces.h"

namespace hadal {

/// Defaults of the filter: right, in one language, without endless paragraphs and code in the reasoning.
TraceFilterOptions rejection_filter();

struct RejectionOptions {
  std::string tasks, out;
  LoadOptions model;
  std::int64_t seed = 1;
  int samples = 8, max_batch = 64;
  double max_repetition = 0.2;
  bool json = false;
  RolloutOptions rollout;
  PromptOptions prompt;
  RewardOptions reward;
  ScorerOptions scorers;
  TraceFilterOptions filter = rejection_filter();
  template <class V>
  void visit(V&& v) {
    v("tasks", tasks, "questions: tasks, GSM8K or HumanEval, as JSON lines", {.required = true, .placeholder = "FILE"});
    v("out", out, "folder for candidates.jsonl, sft.jsonl and summary.json; answers that are there are kept",
      {.required = true, .placeholder = "DIR"});
    model.visit(v);
    v("samples", samples, "answers to each question");
    v("seed", seed, "of the answers");
    v("max_batch", max_batch, "answers that decode together");
    v("max_repetition", max_repetition, "share of repeated n-grams from which an answer counts as wrong");
    v("json", json, "print the summary as JSON");
    v.group("rollout", rollout, "how answers are drawn");
    v.group("prompt", prompt, "how questions are asked");
    v.group("reward", reward, "weights and graders");
    v.group("scorers", scorers, "models that grade what no rule can");
    v.group("filter", filter, "which right answers are kept");
  }
};

/// Samples, grades and filters. candidates.jsonl has one line for each answer, and grows question by question: a second
/// call goes on where the first was stopped, and gives the same bytes. Returns what summary.json holds: questions,
/// answers, correct, solved (questions with a right answer), by class, and what the filter dropped and why. A signal
/// stops it early ("finished": false), without sft.jsonl. Throws Error, after summary.json is written, when the filter
/// keeps nothing; then there is no sft.jsonl.
JsonObject sample_and_reject(const RejectionOptions& options);

}  // namespace hadal
