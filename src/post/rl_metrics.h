#pragma once
// What is told of a step's answers.
#include <string_view>

#include "base/json.h"
#include "post/exploration.h"

namespace hadal {

/// The chance that one of k answers is right, estimated without bias from n answers of which c are:
/// 1 - C(n - c, k) / C(n, k). 1 <= k <= n.
double pass_at_k(std::int64_t n, std::int64_t c, std::int64_t k);

/// Occurrences of the words by which R1-Zero's reflection was followed: wait, mistake, however, but, retry, error,
/// verify, wrong, evaluate, check (R1, Nature version, supplement C.2). Whole words, any case.
std::int64_t count_reflective_words(std::string_view text);

/// Means over all answers of a step, dropped groups included: reward and its parts (reward_NAME), accuracy, pass_at_k
/// (of the group), length, truncated, reflective_words; zero_std is the share of groups without signal.
JsonObject exploration_metrics(const Exploration& exploration);

}  // namespace hadal
