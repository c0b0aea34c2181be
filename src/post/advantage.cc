#include "post/advantage.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal {
namespace {

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

bool all_equal(std::span<const double> values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

/// (v - mean) / (std + eps). Equal values give zeros, whatever their rounded mean is.
void normalise(std::span<const double> values, std::span<double> result, const AdvantageOptions& o) {
  if (all_equal(values)) {
    std::ranges::fill(result, 0.0);
    return;
  }
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const auto count = static_cast<double>(values.size());
  const double deviation = std::sqrt(squares / (o.std == "sample" ? count - 1 : count));
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = (values[i] - mean) / (deviation + o.eps);
}

void centre(std::span<const double> values, std::span<double> result, bool leave_one_out) {
  if (all_equal(values)) {
    std::ranges::fill(result, 0.0);
    return;
  }
  const double mean = mean_of(values);
  const auto count = static_cast<double>(values.size());
  // r - (sum - r) / (n - 1) = (r - mean) * n / (n - 1)
  const double factor = leave_one_out ? count / (count - 1) : 1;
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = (values[i] - mean) * factor;
}

void check_groups(std::span<const double> rewards, index_t group_size) {
  HADAL_CHECK(group_size >= 2 && !rewards.empty() && std::ssize(rewards) % group_size == 0,
              "advantages: ", rewards.size(), " rewards in groups of ", group_size,
              ", want whole groups of at least 2");
}

}  // namespace

std::vector<double> group_advantages(std::span<const double> rewards, index_t group_size, const AdvantageOptions& o) {
  check_groups(rewards, group_size);
  for (const double r : rewards) HADAL_CHECK(std::isfinite(r), "advantages: a reward is ", r);
  std::vector<double> result(rewards.size());
  if (o.estimator == "reinforce") {
    normalise(rewards, result, o);
    return result;
  }
  HADAL_CHECK(o.estimator != "gae", "advantages: gae needs a critic, not groups");
  const auto size = static_cast<std::size_t>(group_size);
  for (std::size_t first = 0; first < rewards.size(); first += size) {
    const std::span<const double> group = rewards.subspan(first, size);
    const std::span<double> out = std::span(result).subspan(first, size);
    if (o.estimator == "grpo")
      normalise(group, out, o);
    else
      centre(group, out, /*leave_one_out=*/o.estimator == "rloo");
  }
  return result;
}

std::vector<bool> groups_without_signal(std::span<const double> rewards, index_t group_size) {
  check_groups(rewards, group_size);
  const auto size = static_cast<std::size_t>(group_size);
  std::vector<bool> result;
  for (std::size_t first = 0; first < rewards.size(); first += size)
    result.push_back(all_equal(rewards.subspan(first, size)));
  return result;
}

TokenAdvantages gae(std::span<const double> reward_T, std::span<const double> value_T, const AdvantageOptions& o) {
  HADAL_CHECK(reward_T.size() == value_T.size(), "gae: ", reward_T.size(), " rewards, ", value_T.size(), " values");
  TokenAdvantages result{std::vector<double>(reward_T.size()), std::vector<double>(reward_T.size())};
  double next_value = 0, advantage = 0;
  for (std::size_t t = reward_T.size(); t-- > 0;) {
    const double delta = reward_T[t] + o.gae_gamma * next_value - value_T[t];
    advantage = delta + o.gae_gamma * o.gae_lambda * advantage;
    result.advantage_T[t] = advantage;
    result.return_T[t] = advantage + value_T[t];
    next_value = value_T[t];
  }
  return result;
}

}  // namespace hadal
