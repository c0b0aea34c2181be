#pragma once
// Tasks that small models can learn, without end: the digits of a number, a rule on letters, in English and Chinese,
// with worked solutions. A task is a function of (seed, class, number).
#include <array>
#include <string>
#include <string_view>

#include "base/random.h"
#include "data/tasks/task_record.h"

namespace hadal {

inline constexpr std::array<std::string_view, 7> kTaskClasses{"sort", "count", "add", "modular", "rule", "max", "talk"};

/// Numbers for one task, in order.
class TaskDraws {
 public:
  TaskDraws(std::uint64_t seed, std::uint64_t task_class, std::uint64_t number)
      : seed_(seed), at_(((task_class << 48) + number) << 8) {}
  /// In [0, n).
  int below(int n) {
    return static_cast<int>(random_below(seed_, Stream::kTask, at_++, static_cast<std::uint64_t>(n)));
  }
  /// In [low, high].
  int between(int low, int high) { return low + below(high - low + 1); }

 private:
  std::uint64_t seed_, at_;
};

/// One task before it gets an id: `key` is the problem without the language it is asked in.
struct GeneratedTask {
  std::string key, question, answer;
  std::string solution;       // the answer of the worked solution, where it is not `answer`
  std::string random_answer;  // of the right form, and nothing more
  Grader grader = Grader::kMath;
  std::string steps, check;  // the way to the answer; a second look at it
};

/// `size`: digits of what is sorted, counted, compared or added, letters of what is rearranged. 2 <= size <= 18.
/// language: en or zh.
GeneratedTask generate_task(std::string_view task_class, std::string_view language, int size, TaskDraws draws);

}  // namespace hadal
