#include "data/cmd_tasks.h"

#include <fmt/format.h>

#include <array>

#include "base/command.h"
#include "base/file.h"
#include "data/tasks/make_tasks.h"
#include "data/tasks/score_tasks.h"

namespace hadal {
namespace {

struct MakeVerbOptions {
  bool json = false;
  MakeTasksOptions make;
  template <class V>
  void visit(V&& v) {
    make.visit(v);
    v("json", json, "print the counts as JSON");
  }
};

int make(Args args) {
  MakeVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "tasks make",
                      .about = "tasks with checkable answers and worked solutions, for small models",
                      .config = true,
                      .example = "hadal tasks make --out runs/tasks --classes sort count --size 6 --train 2000"}))
    return 0;
  const JsonObject made = make_tasks(o.make);
  if (o.json)
    fmt::print("{}\n", json_line(made));
  else
    fmt::print("{}: {} tasks to train on, {} to test with, {} worked solutions\n", o.make.out,
               made.at("train").to_number<std::int64_t>(), made.at("test").to_number<std::int64_t>(),
               made.at("sft").to_number<std::int64_t>());
  return 0;
}

struct ScoreVerbOptions {
  bool json = false;
  std::string summary;
  ScoreTasksOptions score;
  template <class V>
  void visit(V&& v) {
    score.visit(v);
    v("summary", summary, "file for the summary as JSON", {.placeholder = "FILE"});
    v("json", json, "print the summary as JSON");
  }
};

int score(Args args) {
  ScoreVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "tasks score",
                      .about = "grades responses: accuracy and the parts of the reward, by class of tasks",
                      .config = true,
                      .example = "hadal tasks score --tasks runs/tasks/test.jsonl --responses answers.jsonl"}))
    return 0;
  const JsonObject summary = score_tasks(o.score);
  if (!o.summary.empty()) write_file_atomically(o.summary, json_pretty(summary));
  if (o.json)
    fmt::print("{}\n", json_line(summary));
  else
    fmt::print("{}", score_text(summary));
  return 0;
}

constexpr std::array kCommands{
    Command{"make", "generate tasks with answers and worked solutions", make},
    Command{"score", "grade responses to tasks", score},
};

}  // namespace

int cmd_tasks(Args args) {
  return run_command("hadal tasks", kCommands, args);
}

}  // namespace hadal
