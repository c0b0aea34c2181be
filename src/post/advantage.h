#pragma once
// How much better an answer was than expected: rewards -> advantages.
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"

namespace hadal {

/// Where the expectation comes from.
///   grpo       (r - mean) / std of the answers to the same question (DeepSeekMath 4.1)
///   dr_grpo    r - mean of the group: the deviation would weigh easy and hard questions up (Dr. GRPO)
///   rloo       r - mean of the other answers of the group (leave one out)
///   reinforce  (r - mean) / std over all answers of the step (REINFORCE++)
///   gae        rewards to come, measured by a critic (PPO; see gae())
struct AdvantageOptions {
  std::string estimator = "grpo";
  std::string std = "population";
  double eps = 1e-6;
  double gae_gamma = 1, gae_lambda = 1;
  template <class V>
  void visit(V&& v) {
    v("estimator", estimator, "what a reward is compared with",
      {.choices = {"grpo", "dr_grpo", "rloo", "reinforce", "gae"}});
    v("std", std, "grpo, reinforce: divide by n, or by n - 1", {.choices = {"population", "sample"}});
    v("eps", eps, "grpo, reinforce: added to the deviation");
    v("gae_gamma", gae_gamma, "gae: discount from token to token");
    v("gae_lambda", gae_lambda, "gae: 1 trusts the rewards, 0 the critic");
  }
};

/// One advantage for each reward of a step, which come group after group, group_size each. Where a deviation is zero
/// (all rewards of a group equal) the advantages are exactly zero. Not for "gae". Throws Error when the rewards do not
/// divide into groups of at least two, or one is not finite.
std::vector<double> group_advantages(std::span<const double> rewards, index_t group_size,
                                     const AdvantageOptions& options);

/// True for each group whose rewards are all equal: it teaches nothing.
std::vector<bool> groups_without_signal(std::span<const double> rewards, index_t group_size);

struct TokenAdvantages {
  std::vector<double> advantage_T;
  std::vector<double> return_T;  // advantage + value: what the critic should have said
};

/// Generalised advantage estimation over the tokens of one answer, which ends the episode (Schulman et al. 2016):
/// delta_t = reward_t + gamma * value_{t+1} - value_t, A_t = sum over l of (gamma * lambda)^l * delta_{t+l}.
TokenAdvantages gae(std::span<const double> reward_T, std::span<const double> value_T, const AdvantageOptions& options);

}  // namespace hadal
