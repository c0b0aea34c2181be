#pragma once
// What a response is worth: the one place that reinforcement learning, rejection sampling and evaluation ask.
//
//   const Reward reward(options);
//   const RewardResult r = reward({.task = task, .prompt = prompt_text, .response = completion, .num_tokens = n});
//   r.total, r.correct, r.parts
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "data/tasks/math_answer.h"
#include "data/tasks/sandbox.h"
#include "data/tasks/task_record.h"

namespace hadal {

/// Weights of the parts for the tasks of some classes; a part of weight 0 is not worked out. The defaults are those of
/// R1-Zero: accuracy and format, equally (DeepSeek-R1, 2.2.2).
struct RewardRoute {
  std::vector<std::string> classes;  // empty: all
  double accuracy = 1, partial = 0, format = 1, tags = 0, language = 0, overlong = 0, cosine_length = 0, repetition = 0,
         reward_model = 0, judge = 0;
  template <class V>
  void visit(V&& v) {
    v("classes", classes, "of the tasks that these weights are for; empty: all");
    v("accuracy", accuracy, "right or wrong, by the task's grader (0 or 1)");
    v("partial", partial, "share of right places of a sequence (0 to 1), 1 for any right answer");
    v("format", format, "<think>...</think> and an answer (0 or 1)");
    v("tags", tags, "share of the tags that occur once (0 to 1)");
    v("language", language, "share of the task's language in the reasoning (0 to 1)");
    v("overlong", overlong, "near the limit of length (0 to -1)");
    v("cosine_length", cosine_length, "short when right, long when wrong (1 to 0.5, -1 to -0.5)");
    v("repetition", repetition, "repeated n-grams (0 to -1)");
    v("reward_model", reward_model, "what the reward model says");
    v("judge", judge, "what the judge says");
  }
};

struct RewardOptions {
  std::vector<RewardRoute> routes;  // the first that fits; empty: the default route for all
  bool answer_tags = false;
  int max_tokens = 0, overlong_buffer = 0, repetition_ngram = 20;
  MathOptions math;
  SandboxOptions sandbox;
  template <class V>
  void visit(V&& v) {
    v.list("routes", routes, "weights by class of tasks; the first that fits counts");
    v("answer_tags", answer_tags, "the format wants <answer>...</answer>, too");
    v("max_tokens", max_tokens, "the limit of length that overlong and cosine_length refer to");
    v("overlong_buffer", overlong_buffer, "tokens before the limit in which overlong falls from 0 to -1");
    v("repetition_ngram", repetition_ngram, "words of the n-grams that repetition counts");
    v.group("math", math, "comparison of mathematical answers");
    v.group("sandbox", sandbox, "where programs are tested");
  }
};

struct RewardQuery {
  const TaskRecord& task;
  std::string_view prompt;    // as the model saw it; only its end matters (does it open <think>?)
  std::string_view response;  // what the model wrote
  index_t num_tokens = 0;     // of the response
};

struct RewardPart {
  std::string_view name;
  double value = 0, weight = 0;
};

struct RewardResult {
  double total = 0;               // sum of weight * value
  std::vector<RewardPart> parts;  // those with a weight, in the order of RewardRoute
  bool correct = false;           // by the task's grader; false for tasks without one
  std::string answer, note;       // the answer that was graded; why it is wrong, where that is known
};

/// A model that scores responses: any range, higher is better. Must be safe to call from several threads. R1 shows a
/// model of helpfulness the answer only and one of harmlessness all (split_response).
using RewardScorer = std::function<double(const RewardQuery& query)>;

/// Safe to use from several threads.
class Reward {
 public:
  /// Throws Error when a route gives weight to a model that `scorers` ("reward_model", "judge") lacks, or to length
  /// without max_tokens.
  explicit Reward(RewardOptions options, std::map<std::string, RewardScorer> scorers = {});
  ~Reward();

  /// Opens the sandbox if one of these tasks needs it, and checks their languages; throws Error before any work is
  /// done. Without it, the first task that needs the sandbox opens it. Returns the walls of the sandbox, empty when
  /// none is needed.
  std::vector<std::string> prepare(const std::vector<TaskRecord>& tasks) const;

  RewardResult operator()(const RewardQuery& query) const;

  const RewardRoute& route(std::string_view task_class) const;

 private:
  struct Code;  // the sandbox, opened once
  RewardOptions options_;
  std::map<std::string, RewardScorer> scorers_;
  std::unique_ptr<Code> code_;
};

/// The answer of a task that is not mathematical: inside <answer> tags, else the box, else all that follows the
/// reasoning.
std::string extract_plain_answer(std::string_view response);

}  // namespace hadal
