#include "data/tasks/code_grader.h"

#include <unistd.h>

#include <algorithm>

#include "data/corpus/content_hash.h"

namespace hadal {
namespace {

constexpr char kPython[] = "/usr/bin/python3";
constexpr std::size_t npos = std::string_view::npos;

// Runs solution.py, then tests.py in the same scope. The word on stdin is printed last and proves that the tests came
// to their end: a program that leaves early never gets there. Functions under test may return plain values only, which
// compare as they should.
constexpr char kHarness[] = R"(
def main():
    import os, sys
    proof = sys.stdin.readline()
    sys.stdin = open(os.devnull)
    with open("solution.py") as f: solution = f.read()
    with open("tests.py") as f: tests = f.read()
    with open("entry.txt") as f: entry = f.read()
    for name in ("solution.py", "tests.py", "entry.txt", "main.py"): os.unlink(name)
    leave, put, kind, Fail = os._exit, os.write, type, AssertionError
    plain = (int, float, complex, bool, str, bytes, type(None))
    def check_plain(value):
        if kind(value) in plain: return
        if kind(value) in (list, tuple, set, frozenset):
            for v in list(value): check_plain(v)
        elif kind(value) is dict:
            for k in list(value): check_plain(k); check_plain(value[k])
        else:
            raise Fail("a result of type " + kind(value).__name__)
    def guarded(function):
        def call(*args, **kwargs):
            result = function(*args, **kwargs)
            check_plain(result)
            return result
        return call
    scope = {"__name__": "solution"}
    exec(compile(solution, "solution.py", "exec"), scope)
    if entry: scope[entry] = guarded(scope[entry])
    exec(compile(tests, "tests.py", "exec"), scope)
    if entry and "check" in scope: scope["check"](scope[entry])
    sys.stdout.flush()
    put(1, ("\n" + proof).encode())
    leave(0)
main()
)";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == npos ? std::string_view() : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

bool defines(std::string_view code, const std::string& function) {
  return !function.empty() && code.find("def " + function + "(") != npos;
}

// What base models write on and on after the function.
std::string_view cut_continuation(std::string_view code) {
  for (const std::string_view stop : {"\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n```"})
    code = code.substr(0, code.find(stop));
  return code;
}

std::string last_line(std::string_view text) {
  text = trim(text);
  return std::string(text.substr(text.rfind('\n') + 1).substr(0, 200));
}

std::string outcome(const SandboxResult& result) {
  if (result.end == SandboxResult::End::kExited)
    return result.err.empty() ? str_cat("exit code ", result.code) : last_line(result.err);
  if (result.end == SandboxResult::End::kNotStarted) return "not started: " + result.err;
  if (result.end == SandboxResult::End::kSignal) return str_cat(end_name(result.end), " (", result.code, ")");
  return std::string(end_name(result.end));
}

CodeVerdict run_cases(const Sandbox& sandbox, const CodeTests& tests, const std::string& program) {
  for (std::size_t i = 0; i < tests.cases.size(); ++i) {
    const SandboxResult result = sandbox.run({.argv = {kPython, "-I", "-S", "-B", "solution.py"},
                                              .files = {{"solution.py", program}},
                                              .input = tests.cases[i].input});
    if (!result.ok()) return {.note = str_cat("case ", i + 1, ": ", outcome(result))};
    if (trim(result.out) != trim(tests.cases[i].output)) return {.note = str_cat("case ", i + 1, ": another output")};
  }
  return {.passed = true};
}

}  // namespace

bool has_python() {
  return ::access(kPython, X_OK) == 0;
}

std::string extract_code(std::string_view answer, const CodeTests& tests) {
  std::string_view best;
  bool fenced = false, best_defines = false;
  for (std::size_t at = 0; (at = answer.find("```", at)) != npos;) {
    const std::size_t begin = answer.find('\n', at);
    const std::size_t end = begin == npos ? npos : answer.find("```", begin);
    if (end == npos) break;
    const std::string_view block = answer.substr(begin + 1, end - begin - 1);
    const bool is_definition = defines(block, tests.entry_point);
    if (is_definition || !best_defines) best = block, best_defines = is_definition;
    fenced = true;
    at = end + 3;
  }
  if (!fenced) best = answer;
  if (tests.prompt.empty()) return std::string(best);
  // A whole function takes the place of the one that the prompt begins; what else is in the prompt may be needed.
  if (defines(best, tests.entry_point)) return tests.prompt + "    pass\n\n" + std::string(best) + "\n";
  return tests.prompt + std::string(cut_continuation(best)) + "\n";
}

CodeVerdict grade_code(const Sandbox& sandbox, const CodeTests& tests, std::string_view answer) {
  HADAL_CHECK(has_python(), kPython, " is missing; programs cannot be graded");
  const std::string program = extract_code(answer, tests);
  if (!tests.cases.empty()) return run_cases(sandbox, tests, program);
  // Nothing that an answer could know, and the same every time.
  ContentHash hash;
  hash.add(program), hash.add(tests.tests);
  const std::string proof = str_cat("passed ", hash.hex(), "\n");
  const SandboxResult result = sandbox.run({.argv = {kPython, "-I", "-S", "-B", "main.py"},
                                            .files = {{"main.py", kHarness},
                                                      {"solution.py", program},
                                                      {"tests.py", tests.tests},
                                                      {"entry.txt", tests.entry_point}},
                                            .input = proof});
  if (!result.ok()) return {.note = outcome(result)};
  if (!std::string_view(result.out).ends_with("\n" + proof)) return {.note = "ended before its tests"};
  return {.passed = true};
}

}  // namespace hadal
