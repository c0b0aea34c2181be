#include "data/tasks/generate.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "data/tasks/talk_task.h"

namespace hadal {
namespace {

// What is said in the language of the task.
class Speech {
 public:
  explicit Speech(std::string_view language) : chinese_(language == "zh") {
    HADAL_CHECK(chinese_ || language == "en", "tasks: got language \"", language, "\", want en or zh");
  }
  template <class... Parts>
  std::string operator()(std::string_view english, std::string_view chinese, const Parts&... parts) const {
    return fmt::format(fmt::runtime(chinese_ ? chinese : english), parts...);
  }

 private:
  bool chinese_;
};

using Digits = std::vector<int>;

template <class Sequence>
std::string spaced(const Sequence& sequence) {
  return fmt::format("{}", fmt::join(sequence, " "));
}

Digits draw_digits(TaskDraws& draws, int n) {
  Digits digits(static_cast<std::size_t>(n));
  for (int& d : digits) d = draws.below(10);
  return digits;
}

template <class T>
std::vector<T> shuffled(std::vector<T> items, TaskDraws& draws) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[static_cast<std::size_t>(draws.below(static_cast<int>(i)))]);
  return items;
}

GeneratedTask sort_task(const Speech& say, int size, TaskDraws& draws) {
  Digits digits = draw_digits(draws, size), sorted = digits;
  std::sort(sorted.begin(), sorted.end());
  GeneratedTask task{.key = spaced(digits),
                     .answer = spaced(sorted),
                     .random_answer = spaced(shuffled(digits, draws)),
                     .grader = Grader::kSequence};
  task.question = say("Sort from small to large: {}", "从小到大排列：{}", task.key);
  for (Digits left = digits; left.size() > 1;) {
    const auto smallest = std::min_element(left.begin(), left.end());
    task.steps += say("The smallest of {} is {}. ", "{} 中最小的是 {}。", spaced(left), *smallest);
    left.erase(smallest);
  }
  task.steps += say("The last is {}.", "最后是 {}。", sorted.back());
  task.check = say("{} digits before, {} after, none smaller than the one before it.",
                   "原来有 {} 个数字，现在有 {} 个，没有一个比前面的小。", size, size);
  return task;
}

GeneratedTask count_task(const Speech& say, int size, TaskDraws& draws) {
  const int least = draws.between(3, 7);
  const Digits digits = draw_digits(draws, size);
  const auto counts = [&](int d) { return d >= least; };
  const auto number = std::count_if(digits.begin(), digits.end(), counts);
  GeneratedTask task{.key = fmt::format("{}: {}", least, spaced(digits)),
                     .answer = std::to_string(number),
                     .random_answer = std::to_string(draws.between(0, size))};
  task.question =
      say("How many of these digits are {} or more: {}", "这些数字中有几个不小于 {}：{}", least, spaced(digits));
  Digits kept;
  int seen = 0;
  for (const int d : digits) {
    if (counts(d)) kept.push_back(d), ++seen;
    task.steps += counts(d) ? say("{} yes, {}. ", "{} 是，{}。", d, seen) : say("{} no. ", "{} 不是。", d);
  }
  task.steps += say("Together {}.", "一共 {}。", number);
  task.check = kept.empty() ? say("All are below {}.", "全都小于 {}。", least)
                            : say("Those are {}: {}.", "它们是 {}：{} 个。", spaced(kept), number);
  return task;
}

GeneratedTask max_task(const Speech& say, int size, TaskDraws& draws) {
  const Digits digits = draw_digits(draws, size);
  int largest = digits[0];
  GeneratedTask task{.key = spaced(digits), .random_answer = std::to_string(draws.below(10))};
  task.question = say("What is the largest of {}", "{} 中最大的是几", task.key);
  task.steps = say("{} first. ", "先是 {}。", largest);
  for (int i = 1; i < size; ++i) {
    const int d = digits[static_cast<std::size_t>(i)];
    task.steps += d > largest ? say("{} is larger. ", "{} 更大。", d) : say("{} no. ", "{} 不是。", d);
    largest = std::max(largest, d);
  }
  task.steps += say("That leaves {}.", "剩下 {}。", largest);
  task.check = say("No digit is above {}.", "没有数字大于 {}。", largest);
  task.answer = std::to_string(largest);
  return task;
}

// Column by column from the right, as on paper.
std::string column_steps(const Speech& say, std::int64_t a, std::int64_t b, bool plus) {
  std::string steps;
  std::int64_t carry = 0;
  for (std::int64_t x = a, y = b; x > 0 || y > 0 || carry > 0; x /= 10, y /= 10) {
    const std::int64_t p = x % 10, q = y % 10;
    if (plus) {
      const std::int64_t sum = p + q + carry;
      steps += carry > 0 ? say("{}+{}+1={}", "{}+{}+1={}", p, q, sum) : say("{}+{}={}", "{}+{}={}", p, q, sum);
      carry = sum / 10;
      steps += carry > 0 ? say(", write {} carry 1. ", "，写 {} 进 1。", sum % 10) : say(". ", "。");
    } else {
      const std::int64_t top = p - carry, difference = top < q ? top + 10 - q : top - q;
      steps += top < q ? say("{}-{} borrows: {}-{}={}. ", "{}-{} 借 1：{}-{}={}。", top, q, top + 10, q, difference)
                       : say("{}-{}={}. ", "{}-{}={}。", top, q, difference);
      carry = top < q;
    }
  }
  return steps;
}

GeneratedTask add_task(const Speech& say, int size, TaskDraws& draws) {
  std::int64_t limit = 1;
  for (int i = 0; i < std::min(size, 9); ++i) limit *= 10;
  const auto number = [&](std::int64_t below) {
    return static_cast<std::int64_t>(draws.below(static_cast<int>(below)));
  };
  std::int64_t total = number(limit);
  GeneratedTask task{.key = std::to_string(total)};
  std::string back;
  for (int terms = draws.between(1, 2); terms > 0; --terms) {
    const bool plus = total == 0 || draws.below(2) == 0;
    const std::int64_t term = plus ? number(limit) : number(std::min(total, limit - 1) + 1);
    const std::int64_t next = plus ? total + term : total - term;
    task.key += fmt::format("{}{}", plus ? '+' : '-', term);
    task.steps += say("{}{}{}: ", "{}{}{}：", total, plus ? '+' : '-', term) + column_steps(say, total, term, plus) +
                  say("That is {}. ", "得 {}。", next);
    back = say("{}{}{}={}.", "{}{}{}={}。", next, plus ? '-' : '+', term, total);
    total = next;
  }
  task.steps.erase(task.steps.find_last_not_of(' ') + 1);
  task.check = back;
  task.question = say("What is {}?", "{} 等于多少？", task.key);
  task.answer = std::to_string(total);
  task.random_answer = std::to_string(number(limit));
  return task;
}

GeneratedTask modular_task(const Speech& say, int size, TaskDraws& draws) {
  const int most = size <= 2 ? 9 : size <= 4 ? 19 : 99;
  const int a = draws.between(2, most), b = draws.between(2, most), c = draws.between(0, most),
            m = draws.between(3, 19);
  const int product = a * b, sum = product + c, quotient = sum / m;
  GeneratedTask task{.key = fmt::format("({}*{}+{}) mod {}", a, b, c, m),
                     .answer = std::to_string(sum % m),
                     .random_answer = std::to_string(draws.below(m))};
  task.question =
      say("What is the remainder of {}*{}+{} divided by {}?", "{}*{}+{} 除以 {} 的余数是多少？", a, b, c, m);
  task.steps = say("{}*{}={}. {}+{}={}. {} goes {} times: {}*{}={}. {}-{}={}.",
                   "{}*{}={}。{}+{}={}。{} 有 {} 次：{}*{}={}。{}-{}={}。", a, b, product, product, c, sum, m, quotient,
                   m, quotient, m * quotient, sum, m * quotient, sum % m);
  task.check =
      say("{}+{}={}, and {} is below {}.", "{}+{}={}，而且 {} 小于 {}。", m * quotient, sum % m, sum, sum % m, m);
  return task;
}

GeneratedTask rule_task(const Speech& say, int size, TaskDraws& draws) {
  std::vector<char> letters(static_cast<std::size_t>(size));
  for (char& c : letters) c = static_cast<char>('a' + draws.below(26));
  const int rule = draws.below(4);
  std::vector<char> result = letters;
  std::string name;
  if (rule == 0) {
    name = say("Write backwards", "倒着写");
    std::reverse(result.begin(), result.end());
  } else if (rule == 1) {
    name = say("Move the first letter to the end", "把第一个字母移到最后");
    std::rotate(result.begin(), result.begin() + 1, result.end());
  } else if (rule == 2) {
    name = say("Swap neighbours in pairs", "两个两个地交换");
    for (std::size_t i = 0; i + 1 < result.size(); i += 2) std::swap(result[i], result[i + 1]);
  } else {
    name = say("Write each letter twice", "每个字母写两次");
    result.clear();
    for (const char c : letters) result.insert(result.end(), {c, c});
  }
  GeneratedTask task{
      .key = fmt::format("{}: {}", rule, spaced(letters)), .answer = spaced(result), .grader = Grader::kSequence};
  task.question = say("{}: {}", "{}：{}", name, spaced(letters));
  task.random_answer = spaced(shuffled(result, draws));
  for (std::size_t i = 0; i < result.size(); ++i)
    task.steps += say("Place {} gets {}. ", "第 {} 位是 {}。", i + 1, result[i]);
  task.steps.erase(task.steps.find_last_not_of(' ') + 1);
  task.check = say("{} letters, the first is {}, the last is {}.", "{} 个字母，第一个是 {}，最后是 {}。", result.size(),
                   result.front(), result.back());
  return task;
}

}  // namespace

GeneratedTask generate_task(std::string_view task_class, std::string_view language, int size, TaskDraws draws) {
  HADAL_CHECK(size >= 2 && size <= 18, "tasks: got size ", size, ", want 2 to 18");
  const Speech say(language);
  if (task_class == "sort") return sort_task(say, size, draws);
  if (task_class == "count") return count_task(say, size, draws);
  if (task_class == "add") return add_task(say, size, draws);
  if (task_class == "modular") return modular_task(say, size, draws);
  if (task_class == "max") return max_task(say, size, draws);
  if (task_class == "talk") return talk_task(language, draws);
  if (task_class == "rule") return rule_task(say, size, draws);
  fail("tasks: got class \"", task_class, "\", want one of ", fmt::format("{}", fmt::join(kTaskClasses, ", ")));
}

}  // namespace hadal
