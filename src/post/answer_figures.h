#pragma once
// How good sampled answers are: what `sample` says of them, and the evaluations of a recipe.
#include <span>
#include <utility>

#include "base/json.h"

namespace hadal {

/// The 95% interval of a share that was seen `hits` times in `trials` (Wilson); {0, 1} without trials.
std::pair<double, double> wilson_interval(double hits, double trials);

/// {"questions", "answers", "accuracy", "low", "high", "solved", "reward", "mean_tokens", "truncated",
/// "reflective_words", and the mean of every other part of the reward by its name}. low, high: the interval of the
/// accuracy, with as many trials as questions, because answers to one question are no independent ones; solved: share
/// of the questions with a right answer.
struct AnswerFigures {
  JsonObject all;
  JsonObject classes;  // by class of tasks
};

/// Of lines of candidates.jsonl (post/rejection.h); the answers to a question stand together.
AnswerFigures answer_figures(std::span<const JsonObject> lines);

}  // namespace hadal
