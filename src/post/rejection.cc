#include "post/rejection.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "data/tasks/response.h"
#include "data/tasks/text_rewards.h"
#include "post/answer_figures.h"
#include "train/metrics.h"
#include "train/stop_signal.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// The conversation that an answer would make.
JsonArray conversation(const TaskRecord& task, std::string_view prompt, std::string_view answer) {
  const Response parts = split_response(answer, opens_think(prompt));
  JsonObject said{{"role", "assistant"}};
  if (!parts.reasoning.empty()) said["reasoning_content"] = std::string(parts.reasoning);
  std::string_view text = parts.answer;
  while (text.starts_with('\n')) text.remove_prefix(1);
  said["content"] = std::string(text);
  JsonArray messages = task.messages;
  messages.push_back(std::move(said));
  return messages;
}

/// Questions whose answers are all in the log, counted from the first.
std::int64_t questions_done(const std::vector<JsonObject>& lines, int samples) {
  std::int64_t done = 0, answers = 0;
  for (const JsonObject& line : lines) {
    if (json_as<std::int64_t>(line.at("step"), "candidates.jsonl") != done + 1) break;
    if (++answers == samples) ++done, answers = 0;
  }
  return done;
}

/// Of the questions whose answers are all there.
JsonObject figures_of(const std::vector<JsonObject>& lines, int samples) {
  AnswerFigures figures =
      answer_figures(std::span(lines).first(lines.size() - lines.size() % static_cast<std::size_t>(samples)));
  figures.all["classes"] = std::move(figures.classes);
  return std::move(figures.all);
}

}  // namespace

TraceFilterOptions rejection_filter() {
  TraceFilterOptions f;
  f.code_in_reasoning = false, f.max_other_script = 0.2, f.max_paragraph = 4000, f.max_per_prompt = 4;
  return f;
}

JsonObject sample_and_reject(const RejectionOptions& o) {
  HADAL_CHECK(o.samples > 0 && o.samples <= o.max_batch, "samples: got ", o.samples, ", want 1 to max_batch (",
              o.max_batch, ")");
  LoadedModel loaded(o.model);
  HADAL_CHECK(loaded.tokenizer() != nullptr, o.model.model, " has no tokenizer");
  const Tokenizer& tokenizer = *loaded.tokenizer();
  const TaskFile file = load_tasks(o.tasks);
  for (const std::string& reason : file.dropped) log_warning(reason);
  const std::vector<TaskPrompt> prompts = task_prompts(file.tasks, tokenizer, o.prompt, o.model.model);
  RewardOptions reward_options = o.reward;
  if (reward_options.max_tokens == 0) reward_options.max_tokens = o.rollout.max_tokens;
  ThreadPool& pool = loaded.exec.pool;
  const Reward reward(reward_options, make_scorers(pool, o.scorers));
  for (const std::string& wall : reward.prepare(file.tasks)) log_info("sandbox: ", wall);

  const fs::path candidates = fs::path(o.out) / "candidates.jsonl", kept = fs::path(o.out) / "sft.jsonl";
  fs::create_directories(o.out);
  const std::int64_t done = questions_done(read_json_log(candidates), o.samples), count = std::ssize(file.tasks);
  JsonLog log(candidates, done);
  std::size_t longest = 0;
  for (const TaskPrompt& p : prompts) longest = std::max(longest, p.ids.size());
  Engine engine(loaded.ctx, loaded.model, o.rollout.stop.empty() ? nullptr : &tokenizer,
                rollout_engine(o.max_batch, static_cast<std::int64_t>(longest) + o.rollout.max_tokens));
  const StopSignal stop;
  Progress progress("sample", count, "question", done);
  const std::int64_t chunk = 4 * std::max(o.max_batch / o.samples, 1);
  std::int64_t at = done;
  for (; at < count && !StopSignal::requested(); at += chunk) {
    std::vector<std::vector<int>> ids;
    for (std::int64_t q = at; q < std::min(at + chunk, count); ++q)
      ids.push_back(prompts[static_cast<std::size_t>(q)].ids);
    const std::vector<Rollout> rollouts =
        sample_answers(engine, ids, o.samples, o.rollout, static_cast<std::uint64_t>(o.seed),
                       static_cast<std::uint64_t>(at), [] { return StopSignal::requested(); });
    if (rollouts.empty()) break;
    std::vector<JsonObject> lines(rollouts.size());
    pool.parallel_for(std::ssize(rollouts), [&](index_t i, int) {
      const Rollout& r = rollouts[static_cast<std::size_t>(i)];
      const auto q = static_cast<std::size_t>(at + i / o.samples);
      const TaskRecord& task = file.tasks[q];
      const std::string text = replace_ill_formed(tokenizer.decode(r.tokens, /*skip_special=*/true));
      const RewardResult graded =
          reward({.task = task, .prompt = prompts[q].text, .response = text, .num_tokens = std::ssize(r.tokens)});
      bool correct = graded.correct;
      JsonObject parts;
      for (const RewardPart& part : graded.parts) {
        parts[part.name] = part.value;
        if (task.grader == Grader::kNone && part.name == "judge") correct = part.value >= 0.5;
      }
      const bool repeats = -repetition_reward(text, o.reward.repetition_ngram) > o.max_repetition;
      lines[static_cast<std::size_t>(i)] = {{"step", at + i / o.samples + 1},
                                            {"id", task.id},
                                            {"class", task.task_class},
                                            {"messages", conversation(task, prompts[q].text, text)},
                                            {"correct", correct && !repeats && !r.truncated},
                                            {"reward", graded.total},
                                            {"parts", parts},
                                            {"repeats", repeats},
                                            {"tokens", std::ssize(r.tokens)},
                                            {"truncated", r.truncated}};
    });
    for (const JsonObject& line : lines) log.write(line);
    progress.update(std::min(at + chunk, count));
  }
  progress.finish();

  JsonObject summary = figures_of(read_json_log(candidates), o.samples);
  summary["finished"] = at >= count;
  std::optional<TraceCounts> filtered;
  if (at >= count) {
    filtered = filter_traces({candidates.string()}, o.filter, kept);
    summary["filter"] = filtered->to_json();
  }
  write_file_atomically(fs::path(o.out) / "summary.json", json_pretty(summary));
  if (filtered) filtered->check();
  return summary;
}

}  // namespace hadal
