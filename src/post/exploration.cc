#include "post/exploration.h"

#include <algorithm>

#include "base/stopwatch.h"
#include "base/utf8.h"
#include "post/post_run.h"

namespace hadal {
namespace {

void grade_all(ThreadPool& pool, std::span<Group> groups, const Questions& questions, const Tokenizer& tokenizer,
               index_t size) {
  pool.parallel_for(std::ssize(groups) * size, [&](index_t task, int) {
    Group& group = groups[static_cast<std::size_t>(task / size)];
    GradedAnswer& a = group.answers[static_cast<std::size_t>(task % size)];
    a.text = replace_ill_formed(tokenizer.decode(a.rollout.tokens, /*skip_special=*/true));
    a.grade = questions.grade(group.question, a.text, std::ssize(a.rollout.tokens));
  });
}

}  // namespace

bool Group::has_signal() const {
  return std::ranges::any_of(answers, [&](const GradedAnswer& a) { return a.grade.reward != answers[0].grade.reward; });
}

Exploration explore(ThreadPool& pool, Engine& engine, const Tokenizer& tokenizer, const Questions& questions,
                    const ExplorationOptions& o, const RolloutOptions& rollout, std::uint64_t seed, std::int64_t draws,
                    const std::function<bool()>& stop) {
  HADAL_CHECK(o.questions > 0 && o.group_size > 1, "questions ", o.questions, ", group_size ", o.group_size,
              ", want at least 1 and 2");
  Exploration e;
  e.draws = draws;
  const auto wanted = static_cast<std::size_t>(o.questions), group_size = static_cast<std::size_t>(o.group_size);
  while (true) {
    std::vector<Group> groups(wanted - e.groups.size());
    std::vector<std::vector<int>> prompts;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      groups[i].question = shuffled_item(std::ssize(questions.prompts), static_cast<std::int64_t>(seed),
                                         e.draws + static_cast<std::int64_t>(i));
      prompts.push_back(questions.prompts[static_cast<std::size_t>(groups[i].question)]);
    }
    Stopwatch stopwatch;
    std::vector<Rollout> rollouts =
        sample_answers(engine, prompts, o.group_size, rollout, seed, static_cast<std::uint64_t>(e.draws), stop);
    e.draws += std::ssize(groups);
    if (rollouts.empty()) return {};
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      e.tokens += std::ssize(rollouts[i].tokens);
      groups[i / group_size].answers.push_back({.rollout = std::move(rollouts[i])});
    }
    e.sample_seconds += stopwatch.seconds();
    stopwatch.restart();
    grade_all(pool, groups, questions, tokenizer, o.group_size);
    e.grade_seconds += stopwatch.seconds();
    for (Group& g : groups) (o.drop_equal && !g.has_signal() ? e.dropped : e.groups).push_back(std::move(g));
    if (e.groups.size() == wanted) return e;
    if (e.refills == o.max_refills) break;
    ++e.refills;
  }
  // The oldest first: a step always trains on as many groups, these with an advantage of zero.
  const std::size_t missing = wanted - e.groups.size();
  std::move(e.dropped.begin(), e.dropped.begin() + static_cast<std::ptrdiff_t>(missing), std::back_inserter(e.groups));
  e.dropped.erase(e.dropped.begin(), e.dropped.begin() + static_cast<std::ptrdiff_t>(missing));
  return e;
}

}  // namespace hadal
