#pragma once
// Grades programs in Python by running their tests in the sandbox. The walls protect the machine. Grades are protected
// from what models come up with: ending the process early, results that claim to equal everything. They are no proof
// against a program that takes Python itself apart, since it runs in the interpreter that tests it.
#include <string>
#include <string_view>

#include "data/tasks/sandbox.h"
#include "data/tasks/task_record.h"

namespace hadal {

struct CodeVerdict {
  bool passed = false;
  std::string note;  // why not: a limit, the last line of the traceback, the case that differs
};

/// Whether programs can be graded on this machine: /usr/bin/python3.
bool has_python();

/// The program in an answer: the last fenced block (the last that defines the function, where there is one), else the
/// answer itself. It replaces or continues tests.prompt.
std::string extract_code(std::string_view answer, const CodeTests& tests);

/// Runs the program against its tests. Throws Error when there is no Python.
CodeVerdict grade_code(const Sandbox& sandbox, const CodeTests& tests, std::string_view answer);

}  // namespace hadal
