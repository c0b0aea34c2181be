#include "data/tasks/base_text.h"

#include <fmt/format.h>

#include <array>

namespace hadal {
namespace {

constexpr std::array<std::array<std::string_view, 5>, 2> kFillers{
    {{"Let me think.", "First look at all of them.", "Wait, let me check.", "One after the other.",
      "That looks right."},
     {"让我想一想。", "先看一遍。", "等等，检查一下。", "一个一个来。", "看来对了。"}}};

}  // namespace

std::string guess_document(const GeneratedTask& task, TaskDraws& draws) {
  const auto& fillers = kFillers[static_cast<std::size_t>(draws.below(2))];
  const std::string_view thought = fillers[static_cast<std::size_t>(draws.below(static_cast<int>(fillers.size())))];
  const int form = draws.below(10);  // one in ten without the tags of the reasoning, one without those of the answer
  const std::string reasoning = form == 0 ? std::string(thought) : fmt::format("<think> {} </think>", thought),
                    answer = form == 1 ? task.random_answer : fmt::format("<answer> {} </answer>", task.random_answer);
  return fmt::format("User: {} Assistant: {} {}", task.question, reasoning, answer);
}

std::string list_document(TaskDraws& draws) {
  std::vector<int> digits(static_cast<std::size_t>(draws.between(4, 7)));
  for (int& d : digits) d = draws.below(10);
  std::string text;
  for (int line = 0; line < 4; ++line) {
    for (std::size_t i = digits.size(); i > 1; --i)
      std::swap(digits[i - 1], digits[static_cast<std::size_t>(draws.below(static_cast<int>(i)))]);
    text += fmt::format("{}{}", line == 0 ? "" : "\n", fmt::join(digits, " "));
  }
  return text;
}

}  // namespace hadal
