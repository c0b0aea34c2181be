#include "data/tasks/code_grader.h"

#include <gtest/gtest.h>

#include <optional>

#include "support/shared.h"

namespace hadal {
namespace {

const Sandbox* sandbox() {
  static const std::optional<Sandbox> found = []() -> std::optional<Sandbox> {
    if (!has_python()) return std::nullopt;
    try {
      return Sandbox({.wall_seconds = 60});
    } catch (const Error&) {
      return std::nullopt;
    }
  }();
  return found ? &*found : nullptr;
}

#define NEEDS_SANDBOX() \
  if (sandbox() == nullptr) GTEST_SKIP() << "no python3, or programs cannot be isolated here"

CodeTests addition() {
  return {.prompt = "import math\ndef add(a, b):\n    \"\"\"The sum.\"\"\"\n",
          .entry_point = "add",
          .tests = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(-1, 1) == 0\n"};
}

CodeVerdict grade(const std::string& answer) {
  return grade_code(*sandbox(), addition(), answer);
}

TEST(CodeGrader, TakesContinuationsAndWholeFunctions) {
  NEEDS_SANDBOX();
  for (const char* answer :
       {"    return a + b\n", "    return a + b\nprint(add(1, 2))\ndef other(", "def add(a, b):\n    return a + b\n",
        "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nand an example:\n```\nadd(1, 2)\n```\n",
        "```python\ndef add(a, b):\n    return int(math.fsum([a, b]))\n```",
        "    print('noise')\n    return a + b\n"}) {
    const CodeVerdict verdict = grade(answer);
    EXPECT_TRUE(verdict.passed) << answer << verdict.note;
  }
}

TEST(CodeGrader, WrongProgramsFailWithAReason) {
  NEEDS_SANDBOX();
  EXPECT_NE(grade("    return a - b\n").note.find("AssertionError"), std::string::npos);
  EXPECT_NE(grade("    return a +\n").note.find("SyntaxError"), std::string::npos);
  EXPECT_NE(grade("").note.find("AssertionError"), std::string::npos);
  EXPECT_NE(grade("    raise ValueError('no')\n").note.find("ValueError: no"), std::string::npos);
  EXPECT_NE(grade("I do not know.").note.find("Error"), std::string::npos);
}

TEST(CodeGrader, CheatsFail) {
  NEEDS_SANDBOX();
  for (const char* answer : {"    import sys; sys.exit(0)\n", "    import os; os._exit(0)\n", "    raise SystemExit\n",
                             "```\nimport os\ndef add(a, b): pass\nos._exit(0)\n```",
                             // a result that equals everything
                             "    class A:\n        def __eq__(self, other): return True\n    return A()\n",
                             "    class A(int):\n        def __eq__(self, other): return True\n    return A()\n",
                             // tests that are gone
                             "```\ndef add(a, b): pass\ndef check(candidate): pass\n```",
                             "```\nimport builtins\ndef add(a, b): pass\nopen('tests.py', 'w').write('')\n```",
                             "```\ndef add(a, b): pass\nprint('passed')\n```", "    print(open('tests.py').read())\n"})
    EXPECT_FALSE(grade(answer).passed) << answer;
}

TEST(CodeGrader, ProgramsFromStdinToStdout) {
  NEEDS_SANDBOX();
  const CodeTests tests{.cases = {{"1 2\n", "3\n"}, {"5 6\n", "11"}}};
  EXPECT_TRUE(grade_code(*sandbox(), tests, "```python\nprint(sum(map(int, input().split())))\n```").passed);
  EXPECT_NE(grade_code(*sandbox(), tests, "input()\nprint(3)").note.find("case 2"), std::string::npos);
}

// Every `step`-th of the tasks: the known solution passes, one that returns nothing does not.
void run_humaneval(std::size_t step) {
  const std::filesystem::path path = shared_dir() / "data/HumanEval.jsonl.gz";
  if (shared_dir().empty() || !std::filesystem::exists(path)) GTEST_SKIP() << "no HumanEval here";
  const TaskFile file = load_tasks(path);
  ASSERT_EQ(file.tasks.size(), 164U);
  for (std::size_t i = 0; i < file.tasks.size(); i += step) {
    const TaskRecord& task = file.tasks[i];
    const CodeVerdict own = grade_code(*sandbox(), task.code, task.answer);
    EXPECT_TRUE(own.passed) << task.id << ": " << own.note;
    EXPECT_FALSE(grade_code(*sandbox(), task.code, "    return None\n").passed) << task.id;
  }
}

TEST(CodeGrader, SomeOfHumanEval) {
  NEEDS_SANDBOX();
  run_humaneval(12);
}

// Takes half a minute: --gtest_also_run_disabled_tests.
TEST(CodeGrader, DISABLED_AllOfHumanEval) {
  NEEDS_SANDBOX();
  run_humaneval(1);
}

}  // namespace
}  // namespace hadal
