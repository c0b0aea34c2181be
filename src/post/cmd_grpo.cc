#include "post/cmd_grpo.h"
#include "base/file.h"
#include "base/log.h"
#include "data/corpus/content_hash.h"
#include "data/tasks/reward.h"
#include "nn/weights.h"
#include "post/grpo.h"
#include "post/scorers.h"
#include "post/task_prompts.h"

namespace hadal {
namespace {

struct GrpoVerbOptions {
  std::string tasks, validation;
  std::int64_t validation_tasks = 0;
  GrpoOptions run;
  PromptOptions prompt;
  RewardOptions reward;
  ScorerOptions scorers;
  template <class V>
  void visit(V&& v) {
    v("tasks", tasks, "questions: tasks, GSM8K or HumanEval, as JSON lines", {.required = true, .placeholder = "FILE"});
    v("validation", validation, "held-out questions", {.placeholder = "FILE"});
    v("validation_tasks", validation_tasks, "only the first so many of them; 0: all");
    run.visit(v);
    v.group("prompt", prompt, "how questions are asked");
    v.group("reward", reward, "weights and graders");
    v.group("scorers", scorers, "models that grade what no rule can");
  }
};

/// Tasks, their prompts, and what grades the answers to them.
struct TaskSet {
  std::vector<TaskRecord> tasks;
  std::vector<TaskPrompt> prompts;

  Questions questions(const Reward& reward) const {
    Questions q;
    for (const TaskPrompt& p : prompts) q.prompts.push_back(p.ids);
    q.grade = [this, &reward](std::int64_t i, const std::string& answer, index_t num_tokens) {
      const auto at = static_cast<std::size_t>(i);
      const RewardResult r =
          reward({.task = tasks[at], .prompt = prompts[at].text, .response = answer, .num_tokens = num_tokens});
      Grade grade{.reward = r.total, .correct = r.correct};
      for (const RewardPart& part : r.parts) grade.parts.emplace_back(part.name, part.value);
      return grade;
    };
    return q;
  }
};

TaskSet load(const std::string& file, std::int64_t most, const Tokenizer& tokenizer, const GrpoVerbOptions& o) {
  TaskSet set;
  if (file.empty()) return set;
  TaskFile found = load_tasks(file);
  for (const std::string& reason : found.dropped) log_warning(reason);
  set.tasks = std::move(found.tasks);
  if (most > 0 && std::ssize(set.tasks) > most) set.tasks.resize(static_cast<std::size_t>(most));
  set.prompts = task_prompts(set.tasks, tokenizer, o.prompt, o.run.model);
  return set;
}

}  // namespace

int cmd_grpo(Args args) {
  GrpoVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "grpo",
                      .about = "reinforcement learning on questions whose answers can be graded (GRPO, PPO)",
                      .config = true,
                      .example = "hadal grpo --model DIR --tasks runs/tasks/train.jsonl --validation "
                                 "runs/tasks/test.jsonl --out runs/grpo"}))
    return 0;
  ThreadPool pool(o.run.threads);
  Exec exec(pool);
  const Tokenizer tokenizer(load_tokenizer_files(o.run.model));
  const TaskSet train = load(o.tasks, 0, tokenizer, o), held_out = load(o.validation, o.validation_tasks, tokenizer, o);
  if (o.reward.max_tokens == 0) o.reward.max_tokens = o.run.rollout.max_tokens;
  const Reward reward(o.reward, make_scorers(pool, o.scorers));
  for (const std::vector<TaskRecord>* tasks : {&train.tasks, &held_out.tasks})
    for (const std::string& wall : reward.prepare(*tasks)) log_info("sandbox: ", wall);

  ContentHash hash;
  hash.add(read_file(o.tasks));
  GrpoInputs inputs{
      .train = train.questions(reward),
      .validation = held_out.questions(reward),
      .id_of = [&](bool validation,
                   std::int64_t i) { return (validation ? held_out : train).tasks[static_cast<std::size_t>(i)].id; },
      .class_of =
          [&](bool validation, std::int64_t i) {
            return (validation ? held_out : train).tasks[static_cast<std::size_t>(i)].task_class;
          },
      .options = OptionTable(o).to_json(),
      .data = {{"path", o.tasks}, {"hash", hash.hex()}, {"tasks", std::ssize(train.tasks)}}};
  Model model = load_model(exec, o.run.model, Precision::parse(o.run.trainer.precision), /*train=*/true);
  HADAL_CHECK(tokenizer.vocab_size() <= model.config().vocab_size, "the tokenizer has ", tokenizer.vocab_size(),
              " tokens, the model's vocab_size is ", model.config().vocab_size);
  PostRunOptions told;
  told.out = o.run.out, told.json = o.run.json;
  print_result(told, run_grpo(exec, o.run, model, tokenizer, inputs));
  return 0;
}

}  // namespace hadal
