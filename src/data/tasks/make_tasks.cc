#include "data/tasks/make_tasks.h"

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "base/file.h"

namespace hadal {
namespace {

bool wants(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::vector<WorkedSolution> solutions_of(const GeneratedTask& task, bool chinese,
                                         const std::vector<std::string>& styles) {
  std::vector<WorkedSolution> solutions;
  if (wants(styles, "steps")) solutions.push_back({.style = "steps", .thinking = task.steps, .answer = task.answer});
  if (wants(styles, "check"))
    solutions.push_back({.style = "check",
                         .thinking = task.steps + (chinese ? "\n等等，检查一下。" : "\nWait, let me check. ") +
                                     task.check + (chinese ? "对。" : " Right."),
                         .answer = task.answer});
  if (wants(styles, "random"))
    solutions.push_back(
        {.style = "random", .thinking = chinese ? "让我想一想。" : "Let me think.", .answer = task.random_answer});
  return solutions;
}

// The tasks of one class and language.
std::vector<TaskRecord> generate_part(const MakeTasksOptions& o, std::string_view task_class,
                                      const std::string& language, bool test) {
  const auto number = static_cast<std::uint64_t>(std::find(kTaskClasses.begin(), kTaskClasses.end(), task_class) -
                                                 kTaskClasses.begin());
  const int wanted = test ? o.test : o.train;
  const bool chinese = language == "zh";
  std::vector<TaskRecord> tasks;
  std::unordered_set<std::string> seen;
  constexpr int kMostMisses = 20000;  // draws in a row without a new problem: there are hardly more
  int misses = 0;
  for (std::int64_t attempt = 0; static_cast<int>(tasks.size()) < wanted; ++attempt) {
    HADAL_CHECK(misses < kMostMisses, "tasks: found only ", tasks.size(), " different tasks of class ", task_class,
                " and size ", o.size, " for ", test ? "test" : "training", ", ", wanted,
                " are wanted; ask for fewer or for a larger size");
    // Languages draw from separate sequences.
    const auto draw = 2 * static_cast<std::uint64_t>(attempt) + (chinese ? 1 : 0);
    GeneratedTask task =
        generate_task(task_class, language, o.size, TaskDraws(static_cast<std::uint64_t>(o.seed), number, draw));
    if (is_test_problem(task_class, task.key) != test || !seen.insert(task.key).second) {
      ++misses;
      continue;
    }
    misses = 0;
    tasks.push_back({.id = str_cat(task_class, "-", o.size, "/", language, "/", test ? "test" : "train", "/", o.seed,
                                   "/", tasks.size()),
                     .task_class = std::string(task_class),
                     .language = language,
                     .messages = {JsonObject{{"role", "user"}, {"content", task.question}}},
                     .grader = task.grader,
                     .answer = task.answer,
                     .solutions = solutions_of(task, chinese, o.styles)});
  }
  return tasks;
}

std::string formed_answer(const std::string& answer, const std::string& form) {
  if (form == "boxed") return "\\boxed{" + answer + "}";
  return form == "tags" ? "<answer>" + answer + "</answer>" : answer;
}

}  // namespace

bool is_test_problem(std::string_view task_class, std::string_view key) {
  const std::string whole = str_cat(task_class, " ", key);
  return XXH3_64bits(whole.data(), whole.size()) % 8 == 0;
}

std::vector<TaskRecord> generate_tasks(const MakeTasksOptions& options, bool test) {
  HADAL_CHECK(!options.classes.empty() && !options.languages.empty(),
              "tasks: want at least one class and one language");
  HADAL_CHECK(options.train >= 0 && options.test >= 0, "tasks: train and test must not be negative");
  std::vector<std::vector<TaskRecord>> parts;
  for (const std::string& task_class : options.classes)
    for (const std::string& language : options.languages)
      parts.push_back(generate_part(options, task_class, language, test));
  std::vector<TaskRecord> tasks;
  for (std::size_t i = 0; i < parts[0].size(); ++i)
    for (std::vector<TaskRecord>& part : parts) tasks.push_back(std::move(part[i]));
  return tasks;
}

JsonObject make_tasks(const MakeTasksOptions& options) {
  const std::filesystem::path folder = options.out;
  std::filesystem::create_directories(folder);
  const std::vector<TaskRecord> train = generate_tasks(options, false), test = generate_tasks(options, true);
  const auto write = [&](const char* name, const std::vector<TaskRecord>& tasks) {
    std::string text;
    for (const TaskRecord& task : tasks) text += json_line(task_json(task)) + "\n";
    write_file_atomically(folder / name, text);
  };
  write("train.jsonl", train), write("test.jsonl", test);
  std::string sft;
  std::int64_t conversations = 0;
  for (const TaskRecord& task : train) {
    for (const WorkedSolution& solution : task.solutions) {
      JsonArray messages = task.messages;
      messages.push_back(JsonObject{{"role", "assistant"},
                                    {"reasoning_content", solution.thinking},
                                    {"content", formed_answer(solution.answer, options.answer_form)}});
      sft += json_line(JsonObject{{"messages", std::move(messages)}}) + "\n";
      ++conversations;
    }
  }
  write_file_atomically(folder / "sft.jsonl", sft);
  return {{"out", options.out}, {"train", train.size()}, {"test", test.size()}, {"sft", conversations}};
}

}  // namespace hadal
