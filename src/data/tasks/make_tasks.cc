#include "data/tasks/make_tasks.h"

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "base/file.h"
#include "data/tasks/base_text.h"
#include "data/tasks/talk_task.h"

namespace hadal {
namespace {

bool wants(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::vector<WorkedSolution> solutions_of(const GeneratedTask& task, bool chinese,
                                         const std::vector<std::string>& styles) {
  std::vector<WorkedSolution> solutions;
  const std::string& answer = task.solution.empty() ? task.answer : task.solution;
  if (wants(styles, "steps")) solutions.push_back({.style = "steps", .thinking = task.steps, .answer = answer});
  if (wants(styles, "check"))
    solutions.push_back({.style = "check",
                         .thinking = task.steps + (chinese ? "\n等等，检查一下。" : "\nWait, let me check. ") +
                                     task.check + (chinese ? "对。" : " Right."),
                         .answer = answer});
  if (wants(styles, "random"))
    solutions.push_back(
        {.style = "random", .thinking = chinese ? "让我想一想。" : "Let me think.", .answer = task.random_answer});
  return solutions;
}

/// A task with what it was made from.
struct MadeTask {
  TaskRecord record;
  GeneratedTask generated;
  std::uint64_t class_number, draw;
};

// The tasks of one class and language.
std::vector<MadeTask> make_part(const MakeTasksOptions& o, std::size_t at, const std::string& language, bool test) {
  const std::string& task_class = o.classes[at];
  const auto number = static_cast<std::uint64_t>(std::find(kTaskClasses.begin(), kTaskClasses.end(), task_class) -
                                                 kTaskClasses.begin());
  const int wanted = test ? o.test : o.train, size = o.sizes.empty() ? o.size : o.sizes[at];
  const bool chinese = language == "zh";
  std::vector<MadeTask> tasks;
  std::unordered_set<std::string> seen;
  constexpr int kMostMisses = 20000;  // draws in a row without a new problem: there are hardly more
  int misses = 0;
  for (std::int64_t attempt = 0; static_cast<int>(tasks.size()) < wanted; ++attempt) {
    HADAL_CHECK(misses < kMostMisses, "tasks: found only ", tasks.size(), " different tasks of class ", task_class,
                " and size ", size, " for ", test ? "test" : "training", ", ", wanted,
                " are wanted; ask for fewer or for a larger size");
    // Languages draw from separate sequences.
    const auto draw = 2 * static_cast<std::uint64_t>(attempt) + (chinese ? 1 : 0);
    GeneratedTask task =
        generate_task(task_class, language, size, TaskDraws(static_cast<std::uint64_t>(o.seed), number, draw));
    if (is_test_problem(task_class, task.key) != test || !seen.insert(task.key).second) {
      ++misses;
      continue;
    }
    misses = 0;
    TaskRecord record{.id = str_cat(task_class, "-", size, "/", language, "/", test ? "test" : "train", "/", o.seed,
                                    "/", tasks.size()),
                      .task_class = task_class,
                      .language = language,
                      .messages = {JsonObject{{"role", "user"}, {"content", task.question}}},
                      .grader = task.grader,
                      .answer = task.grader == Grader::kNone ? "" : task.answer,
                      .solutions = solutions_of(task, chinese, o.styles)};
    tasks.push_back({std::move(record), std::move(task), number, draw});
  }
  return tasks;
}

std::vector<MadeTask> make_all(const MakeTasksOptions& options, bool test) {
  HADAL_CHECK(!options.classes.empty() && !options.languages.empty(),
              "tasks: want at least one class and one language");
  HADAL_CHECK(options.train >= 0 && options.test >= 0, "tasks: train and test must not be negative");
  HADAL_CHECK(options.sizes.empty() || options.sizes.size() == options.classes.size(), "tasks: got ",
              options.sizes.size(), " sizes for ", options.classes.size(), " classes");
  std::vector<std::vector<MadeTask>> parts;
  for (std::size_t at = 0; at < options.classes.size(); ++at)
    for (const std::string& language : options.languages) parts.push_back(make_part(options, at, language, test));
  std::vector<MadeTask> tasks;
  for (std::size_t i = 0; i < parts[0].size(); ++i)
    for (std::vector<MadeTask>& part : parts) tasks.push_back(std::move(part[i]));
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
  std::vector<TaskRecord> records;
  for (MadeTask& task : make_all(options, test)) records.push_back(std::move(task.record));
  return records;
}

JsonObject make_tasks(const MakeTasksOptions& options) {
  const std::filesystem::path folder = options.out;
  std::filesystem::create_directories(folder);
  const std::vector<MadeTask> train = make_all(options, false), test = make_all(options, true);
  // A file of the lines that `lines_of` appends for each task.
  const auto write = [&](const char* name, const std::vector<MadeTask>& tasks, const auto& lines_of) {
    std::string text;
    for (const MadeTask& task : tasks) lines_of(task, [&](const JsonObject& line) { text += json_line(line) + "\n"; });
    if (!text.empty()) write_file_atomically(folder / name, text);
  };
  const auto record = [](const MadeTask& task, const auto& line) { line(task_json(task.record)); };
  write("train.jsonl", train, record), write("test.jsonl", test, record);

  std::int64_t conversations = 0, pairs = 0;
  write("sft.jsonl", train, [&](const MadeTask& task, const auto& line) {
    for (const WorkedSolution& solution : task.record.solutions) {
      JsonArray messages = task.record.messages;
      messages.push_back(JsonObject{{"role", "assistant"},
                                    {"reasoning_content", solution.thinking},
                                    {"content", formed_answer(solution.answer, options.answer_form)}});
      line({{"class", task.record.task_class}, {"messages", std::move(messages)}});
      ++conversations;
    }
  });
  const auto seed = static_cast<std::uint64_t>(options.seed);
  write("text.jsonl", train, [&](const MadeTask& task, const auto& line) {
    TaskDraws draws(seed, kTaskClasses.size() + task.class_number, task.draw);
    line({{"text", guess_document(task.generated, draws)}});
    if (draws.below(2) == 0) line({{"text", list_document(draws)}});
  });
  const auto pairs_of = [&](const MadeTask& task, const auto& line) {
    if (task.record.task_class != "talk") return;
    for (std::string& worse : worse_talk(task.record.language, TaskDraws(seed, task.class_number, task.draw))) {
      line({{"prompt", task.record.messages}, {"chosen", task.generated.answer}, {"rejected", std::move(worse)}});
      ++pairs;
    }
  };
  write("pairs.jsonl", train, pairs_of), write("pairs_test.jsonl", test, pairs_of);
  return {
      {"out", options.out}, {"train", train.size()}, {"test", test.size()}, {"sft", conversations}, {"pairs", pairs}};
}

}  // namespace hadal
