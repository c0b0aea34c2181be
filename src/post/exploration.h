#pragma once
// The first half of a step of reinforcement learning: questions, groups of answers, their rewards.
#include <string>
#include <utility>
#include <vector>

#include "post/rollout.h"

namespace hadal {

/// What a grader says of an answer.
struct Grade {
  double reward = 0;
  bool correct = false;
  std::vector<std::pair<std::string, double>> parts;  // of the reward, by name
};

/// Questions whose answers can be graded. grade may be called from several threads at once.
struct Questions {
  std::vector<std::vector<int>> prompts;
  std::function<Grade(std::int64_t question, const std::string& answer, index_t num_tokens)> grade;
};

struct ExplorationOptions {
  int questions = 32, group_size = 16;
  bool drop_equal = false;
  int max_refills = 4;
  bool mask_truncated = false;
  template <class V>
  void visit(V&& v) {
    v("questions", questions, "questions of a step");
    v("group_size", group_size, "answers to each");
    v("drop_equal", drop_equal, "dynamic sampling: groups whose rewards are all equal give way to other questions");
    v("max_refills", max_refills, "times that a step asks for other questions; then it takes what it has");
    v("mask_truncated", mask_truncated, "answers that max_tokens cut off take no part in the loss");
  }
};

struct GradedAnswer {
  Rollout rollout;
  std::string text;
  Grade grade;
};

/// A question and its group.
struct Group {
  std::int64_t question = 0;
  std::vector<GradedAnswer> answers;
  bool has_signal() const;  // rewards differ
};

struct Exploration {
  std::vector<Group> groups;   // what is trained on: options.questions of them
  std::vector<Group> dropped;  // without signal
  std::int64_t draws = 0;      // questions asked so far in the run, with these
  std::int64_t tokens = 0;     // generated
  int refills = 0;
  double sample_seconds = 0, grade_seconds = 0;
};

/// Asks the next questions of the stream, which is a shuffle of all questions for every round over them, from question
/// number `draws` on. The result is a function of weights, questions, options, seed and draws. `stop` as in
/// sample_answers: then the groups are empty. When groups are missing after max_refills, dropped ones fill their
/// places.
Exploration explore(ThreadPool& pool, Engine& engine, const Tokenizer& tokenizer, const Questions& questions,
                    const ExplorationOptions& options, const RolloutOptions& rollout, std::uint64_t seed,
                    std::int64_t draws, const std::function<bool()>& stop = {});

}  // namespace hadal
