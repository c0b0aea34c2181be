#include "post/advantage.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "support/shared.h"

namespace hadal {
namespace {

std::vector<double> numbers(const Json& v) {
  return json_as<std::vector<double>>(v, "rl.json");
}

void expect_near(std::span<const double> got, std::span<const double> want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

TEST(Advantage, GoldenVectors) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const Json golden = read_json_file(shared_dir() / "fixtures/small/rl.json");
  for (const Json& c : golden.at("advantages").as_array()) {
    const std::vector<double> rewards = numbers(c.at("rewards"));
    const auto size = static_cast<index_t>(rewards.size());
    const auto advantages = [&](const char* estimator, const char* deviation, double eps) {
      return group_advantages(rewards, size, {.estimator = estimator, .std = deviation, .eps = eps});
    };
    expect_near(advantages("grpo", "population", 0), numbers(c.at("population")), 1e-14);
    expect_near(advantages("grpo", "sample", 0), numbers(c.at("sample")), 1e-14);
    expect_near(advantages("grpo", "sample", 1e-4), numbers(c.at("sample_eps_1e-4")), 1e-14);
    expect_near(advantages("grpo", "sample", 1e-6), numbers(c.at("sample_eps_1e-6")), 1e-14);
    expect_near(advantages("dr_grpo", "population", 0), numbers(c.at("mean_only")), 1e-14);
  }
}

TEST(Advantage, EqualRewardsGiveExactZeros) {
  // 0.1 seven times has a rounded mean that is not 0.1.
  const std::vector<double> equal(7, 0.1);
  for (const char* estimator : {"grpo", "dr_grpo", "rloo", "reinforce"})
    for (const double a : group_advantages(equal, 7, {.estimator = estimator, .eps = 0})) EXPECT_EQ(a, 0) << estimator;
}

TEST(Advantage, LeaveOneOutIsTheMeanOfTheOthers) {
  const std::vector<double> rewards = {1, 0, 0.5, 2, 7, 7.5};
  const std::vector<double> got = group_advantages(rewards, 3, {.estimator = "rloo"});
  expect_near(got, std::vector<double>{1 - 0.25, 0 - 0.75, 0.5 - 0.5, 2 - 7.25, 7 - 4.75, 7.5 - 4.5}, 1e-14);
}

TEST(Advantage, ReinforceLooksAtTheWholeStep) {
  const std::vector<double> rewards = {1, 1, 0, 0};
  expect_near(group_advantages(rewards, 2, {.estimator = "reinforce", .eps = 0}), std::vector<double>{1, 1, -1, -1},
              1e-14);
  for (const double a : group_advantages(rewards, 2, {.estimator = "grpo"})) EXPECT_EQ(a, 0);
}

TEST(Advantage, GroupsOfOneAndBadRewardsAreRefused) {
  const std::vector<double> rewards = {1, 0, 0};
  EXPECT_THROW(group_advantages(rewards, 1, {}), Error);
  EXPECT_THROW(group_advantages(rewards, 2, {}), Error);
  EXPECT_THROW(group_advantages({}, 2, {}), Error);
  EXPECT_THROW(group_advantages(std::vector<double>{1, std::nan("")}, 2, {}), Error);
  EXPECT_EQ(groups_without_signal(std::vector<double>{1, 1, 0, 1}, 2), (std::vector<bool>{true, false}));
}

TEST(Advantage, GaeIsTheDiscountedSumOfSurprises) {
  const std::vector<double> reward = {0, 0.5, 0, 1}, value = {0.2, -0.1, 0.4, 0.7};
  const AdvantageOptions o{.gae_gamma = 0.9, .gae_lambda = 0.8};
  const TokenAdvantages got = gae(reward, value, o);
  for (std::size_t t = 0; t < 4; ++t) {
    double want = 0;
    for (std::size_t l = t; l < 4; ++l) {
      const double next = l + 1 < 4 ? value[l + 1] : 0;
      want += std::pow(0.72, static_cast<double>(l - t)) * (reward[l] + 0.9 * next - value[l]);
    }
    EXPECT_NEAR(got.advantage_T[t], want, 1e-14);
    EXPECT_NEAR(got.return_T[t], want + value[t], 1e-14);
  }
}

TEST(Advantage, GaeWithLambdaOneIsRewardToComeLessValue) {
  const std::vector<double> reward = {0, 0, 1}, value = {0.5, 0.25, 0.75};
  const TokenAdvantages got = gae(reward, value, {.gae_gamma = 1, .gae_lambda = 1});
  expect_near(got.advantage_T, std::vector<double>{0.5, 0.75, 0.25}, 1e-14);
  expect_near(got.return_T, std::vector<double>{1, 1, 1}, 1e-14);
}

}  // namespace
}  // namespace hadal
