#pragma once
// Grades files of responses.
#include <string>

#include "base/json.h"
#include "data/tasks/reward.h"

namespace hadal {

struct ScoreTasksOptions {
  std::string tasks, responses, details;
  bool opened_think = false;
  int threads = 0;
  RewardOptions reward;
  template <class V>
  void visit(V&& v) {
    v("tasks", tasks, "tasks, GSM8K or HumanEval, as JSON lines", {.required = true, .placeholder = "FILE"});
    v("responses", responses,
      "lines of {\"id\", \"response\", \"prompt\"?, \"num_tokens\"?}, several of one id are several samples",
      {.required = true, .placeholder = "FILE"});
    v("details", details, "file for one line of every response: total, parts, correct, answer, note",
      {.placeholder = "FILE"});
    v("opened_think", opened_think, "prompts that the responses do not name ended with <think>");
    v("threads", threads, "0: all CPUs");
    v.group("reward", reward, "weights and graders");
  }
};

/// {"classes": {"sort": {"tasks", "responses", "accuracy", "solved", "reward", "parts": {...}}, ...}, "all": {...},
/// "dropped", "unanswered", "sandbox"?}. accuracy: mean over the responses; solved: share of the answered tasks with a
/// right response. Throws Error for a response without its task.
JsonObject score_tasks(const ScoreTasksOptions& options);

/// The same as a table for people.
std::string score_text(const JsonObject& summary);

}  // namespace hadal
