#include "post/rl_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace hadal {

double pass_at_k(std::int64_t n, std::int64_t c, std::int64_t k) {
  HADAL_CHECK(0 <= c && c <= n && 1 <= k && k <= n, "pass@", k, " of ", n, " answers, ", c, " of them right");
  if (n - c < k) return 1;
  double all_wrong = 1;  // product over i of (n - c - i) / (n - i)
  for (std::int64_t i = 0; i < k; ++i) all_wrong *= static_cast<double>(n - c - i) / static_cast<double>(n - i);
  return 1 - all_wrong;
}

std::int64_t count_reflective_words(std::string_view text) {
  constexpr std::array<std::string_view, 10> kWords = {"wait",  "mistake", "however", "but",      "retry",
                                                       "error", "verify",  "wrong",   "evaluate", "check"};
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  std::int64_t count = 0;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && is_letter(text[i])) {
      word += static_cast<char>(text[i] | 0x20);
      continue;
    }
    count += std::ranges::find(kWords, word) != kWords.end() ? 1 : 0;
    word.clear();
  }
  return count;
}

JsonObject exploration_metrics(const Exploration& e) {
  double answers = 0, reward = 0, squares = 0, correct = 0, length = 0, truncated = 0, words = 0;
  double groups = 0, solved = 0, equal = 0;
  std::int64_t longest = 0;
  std::map<std::string, double> parts;
  const auto add = [&](const Group& g) {
    groups += 1;
    equal += g.has_signal() ? 0 : 1;
    solved += std::ranges::any_of(g.answers, [](const GradedAnswer& a) { return a.grade.correct; }) ? 1 : 0;
    for (const GradedAnswer& a : g.answers) {
      answers += 1, reward += a.grade.reward, squares += a.grade.reward * a.grade.reward;
      correct += a.grade.correct ? 1 : 0;
      truncated += a.rollout.truncated ? 1 : 0;
      length += static_cast<double>(a.rollout.tokens.size());
      longest = std::max(longest, std::int64_t{std::ssize(a.rollout.tokens)});
      words += static_cast<double>(count_reflective_words(a.text));
      for (const auto& [name, value] : a.grade.parts) parts[name] += value;
    }
  };
  for (const Group& g : e.groups) add(g);
  for (const Group& g : e.dropped) add(g);
  const double mean = reward / answers;
  JsonObject m{{"reward", mean},
               {"reward_std", std::sqrt(std::max(0.0, squares / answers - mean * mean))},
               {"accuracy", correct / answers},
               {"pass_at_k", solved / groups},
               {"length", length / answers},
               {"length_max", longest},
               {"truncated", truncated / answers},
               {"zero_std", equal / groups},
               {"reflective_words", words / answers},
               {"refills", e.refills},
               {"sample_seconds", e.sample_seconds},
               {"grade_seconds", e.grade_seconds}};
  for (const auto& [name, sum] : parts) m["reward_" + name] = sum / answers;
  return m;
}

}  // namespace hadal
