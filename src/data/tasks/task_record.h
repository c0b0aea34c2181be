#pragma once
// A task whose answers can be checked: what is asked, and how an answer is graded. One JSON object a line:
//   {"id": "sort/0", "class": "sort", "language": "en", "messages": [{"role": "user", "content": "..."}],
//    "grader": "sequence", "answer": "1 2 3", "solutions": [{"style": "steps", "thinking": "...", "answer": "1 2 3"}]}
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace hadal {

enum class Grader : std::uint8_t {
  kMath,      // equal in meaning to `answer` (math_answer.h)
  kExact,     // the same text, white space aside
  kSequence,  // the same elements in order; the share of right places is known, too
  kCode,      // passes the tests of `code` in the sandbox
  kNone,      // no rule: for reward models and judges only
};
std::string_view grader_name(Grader grader);

/// Tests of a program in Python.
struct CodeTests {
  std::string prompt;       // what the answer continues: imports, signature, docstring; may be empty
  std::string entry_point;  // the function that check(candidate) gets; empty: the tests are plain statements
  std::string tests;
  struct Case {
    std::string input, output;
  };
  std::vector<Case> cases;  // instead of tests: the answer is a program from stdin to stdout
};

/// A worked solution, for cold starts.
struct WorkedSolution {
  std::string style, thinking, answer;
};

struct TaskRecord {
  std::string id, task_class, language;  // language: "en", "zh", ... or empty
  JsonArray messages;                    // ends with a message of the user
  Grader grader = Grader::kMath;
  std::string answer;
  CodeTests code;
  std::vector<WorkedSolution> solutions;
};

/// A Failure says what is wrong: a key, a grader without its answer, a mathematical answer that cannot be read.
Result<TaskRecord> parse_task(const Json& line, const std::string& where);
JsonObject task_json(const TaskRecord& task);

/// Tasks, and why others were left out: a task whose own answer cannot be graded is an error of the data and must never
/// count against a model.
struct TaskFile {
  std::vector<TaskRecord> tasks;
  std::vector<std::string> dropped;  // "file:line: reason"
};

/// Lines of tasks (parse_task), of GSM8K ({"question", "answer": "... #### 5"}) or of HumanEval ({"task_id", "prompt",
/// "entry_point", "test", "canonical_solution"}), by their keys; .gz and .zst too. Throws Error when the file cannot be
/// read, a line is no JSON, two tasks have one id or no task is left.
TaskFile load_tasks(const std::filesystem::path& path);

}  // namespace hadal
