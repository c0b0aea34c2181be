#pragma once
// Files of generated tasks: a training part and a test part that share no problem, and what is made of the training
// part for other stages: cold-start conversations, pairs for reward models, text for a base model.
#include <string>
#include <vector>

#include "base/json.h"
#include "data/tasks/generate.h"

namespace hadal {

struct MakeTasksOptions {
  std::string out, answer_form = "plain";
  std::vector<std::string> classes{"sort", "count", "add", "modular", "rule"}, languages{"en", "zh"},
      styles{"steps", "check"};
  std::vector<int> sizes;
  int train = 1000, test = 100, size = 6;
  std::int64_t seed = 1;
  template <class V>
  void visit(V&& v) {
    v("out", out, "folder for train.jsonl, test.jsonl, sft.jsonl, text.jsonl; pairs.jsonl with talk",
      {.required = true, .placeholder = "DIR"});
    v("classes", classes, "kinds of tasks", {.choices = {kTaskClasses.begin(), kTaskClasses.end()}});
    v("languages", languages, "that they are asked and solved in", {.choices = {"en", "zh"}});
    v("train", train, "tasks for training, of each class and language");
    v("test", test, "tasks for testing, of each class and language");
    v("size", size, "digits or letters of a task");
    v("sizes", sizes, "of each class, in their order, in place of size");
    v("styles", styles,
      "of worked solutions: step by step; these with a second look; random: only the form, with an answer by chance",
      {.choices = {"steps", "check", "random"}});
    v("answer_form", answer_form, "of the answer in sft.jsonl", {.choices = {"plain", "boxed", "tags"}});
    v("seed", seed, "another seed gives other tasks");
  }
};

/// Whether a problem belongs to the test part: by the problem alone, so that no seed and no other option mixes the
/// parts.
bool is_test_problem(std::string_view task_class, std::string_view key);

/// The tasks of one part, classes and languages in turn. Throws Error when there are not so many different ones.
std::vector<TaskRecord> generate_tasks(const MakeTasksOptions& options, bool test);

/// Writes the files; returns the counts. sft.jsonl holds the worked solutions of train.jsonl as conversations,
/// text.jsonl documents of base_text.h, pairs.jsonl and pairs_test.jsonl better and worse answers to tasks of class
/// talk.
JsonObject make_tasks(const MakeTasksOptions& options);

}  // namespace hadal
