#include "post/policy_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "post/advantage.h"
#include "support/central_difference.h"
#include "support/shared.h"

namespace hadal {
namespace {

/// Answers of a step with everything that the loss reads.
struct Case {
  std::vector<index_t> begins = {0};
  std::vector<double> fresh, old, ref, advantage, weight;

  PolicyTokens tokens() const { return {begins, fresh, old, ref, advantage, weight}; }
  PolicyReport loss(const PolicyLossOptions& o, std::vector<double>* gradient = nullptr) const {
    std::vector<double> d(fresh.size());
    const PolicyReport report = policy_loss(d, tokens(), o);
    if (gradient != nullptr) *gradient = d;
    return report;
  }
};

std::vector<double> flat(const Json& rows, std::vector<index_t>* begins = nullptr) {
  std::vector<double> all;
  for (const Json& row : rows.as_array()) {
    const auto values = json_as<std::vector<double>>(row, "rl.json");
    all.insert(all.end(), values.begin(), values.end());
    if (begins != nullptr) begins->push_back(std::ssize(all));
  }
  return all;
}

/// Answers of odd lengths whose log-ratios lie on both sides of every border, none of them near one.
Case random_case(double spread) {
  Case c;
  for (const int length : {1, 5, 0, 3, 17}) c.begins.push_back(c.begins.back() + length);
  for (index_t k = 0; k < c.begins.back(); ++k) {
    const auto normal = [&](std::uint64_t of) {
      return random_normal(7, Stream::kTest, static_cast<std::uint64_t>(8 * k) + of);
    };
    c.old.push_back(-1 - std::abs(normal(0)));
    c.fresh.push_back(c.old.back() + spread * normal(1));
    c.ref.push_back(c.old.back() + spread * normal(2));
    c.advantage.push_back(normal(3));
  }
  c.weight = token_weights(c.begins, {}, "token_mean", 32);
  return c;
}

TEST(PolicyLoss, GoldenVectors) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const Json golden = read_json_file(shared_dir() / "fixtures/small/rl.json");
  for (const Json& g : golden.at("grpo").as_array()) {
    Case c;
    c.fresh = flat(g.at("log_prob_new"), &c.begins);
    c.old = flat(g.at("log_prob_old")), c.ref = flat(g.at("log_prob_ref"));
    const auto rewards = json_as<std::vector<double>>(g.at("rewards"), "rewards");
    const std::vector<double> advantages = group_advantages(rewards, std::ssize(rewards), {.eps = 0});
    for (std::size_t i = 0; i < advantages.size(); ++i)
      c.advantage.insert(c.advantage.end(), static_cast<std::size_t>(c.begins[i + 1] - c.begins[i]), advantages[i]);
    PolicyLossOptions o{.clip_low = json_as<double>(g.at("clip_low"), ""),
                        .clip_high = json_as<double>(g.at("clip_high"), ""),
                        .beta = json_as<double>(g.at("beta"), "")};
    index_t active = 0;
    for (const Json& row : g.at("clip_active").as_array())
      for (const Json& b : row.as_array()) active += b.as_bool() ? 1 : 0;
    for (const char* aggregation : {"sequence_mean", "token_mean"}) {
      c.weight = token_weights(c.begins, {}, aggregation, 0);
      std::vector<double> gradient;
      const PolicyReport report = c.loss(o, &gradient);
      const Json& want = g.at(aggregation);
      EXPECT_NEAR(-report.loss, json_as<double>(want.at("objective"), ""), 1e-13);
      const std::vector<double> slope = flat(want.at("d_objective_d_log_prob_new"));
      for (std::size_t k = 0; k < slope.size(); ++k) EXPECT_NEAR(-gradient[k], slope[k], 1e-13) << aggregation << k;
      EXPECT_NEAR(report.kl / static_cast<double>(report.tokens), json_as<double>(g.at("kl_mean_over_tokens"), ""),
                  1e-13);
      EXPECT_EQ(report.clipped_low + report.clipped_high, static_cast<double>(active));
    }
  }
}

TEST(PolicyLoss, GradientsOfEveryVariant) {
  for (const char* ratio : {"token", "sequence", "product"})
    for (const char* kl : {"k1", "k2", "k3", "k3_weighted"})
      for (const double clip : {0.2, 10.0})
        for (const char* aggregation : {"token_mean", "sequence_mean", "constant"}) {
          Case c = random_case(0.4);
          c.weight = token_weights(c.begins, {}, aggregation, 32);
          const PolicyLossOptions o{.ratio = ratio, .clip_low = clip, .clip_high = clip, .kl = kl, .beta = 0.3};
          std::vector<double> gradient;
          c.loss(o, &gradient);
          for (std::size_t k = 0; k < c.fresh.size(); ++k) {
            const double want = central_difference(c.fresh[k], [&] { return c.loss(o).loss; });
            EXPECT_NEAR(gradient[k], want, 1e-8) << ratio << ' ' << kl << ' ' << clip << ' ' << k;
          }
        }
}

TEST(PolicyLoss, EqualRewardsLeaveOnlyTheDivergence) {
  Case c = random_case(0.4);
  std::ranges::fill(c.advantage, 0.0);
  std::vector<double> gradient;
  const PolicyLossOptions o{.beta = 0.04};
  EXPECT_GT(c.loss(o, &gradient).loss, 0);
  for (std::size_t k = 0; k < gradient.size(); ++k)
    EXPECT_NEAR(gradient[k], c.weight[k] * 0.04 * (1 - std::exp(c.ref[k] - c.fresh[k])), 1e-15);
  c.ref.clear();
  EXPECT_EQ(c.loss(o, &gradient).loss, 0);
  for (const double d : gradient) EXPECT_EQ(d, 0);
}

TEST(PolicyLoss, DivergenceIsZeroAtEqualityAndNeverNegative) {
  for (const char* kind : {"k2", "k3", "k3_weighted"}) {
    EXPECT_EQ(kl_estimate(kind, -1.25, -1.25), 0);
    for (int i = -40; i <= 40; ++i) EXPECT_GE(kl_estimate(kind, -3, -3 + 0.25 * i), 0) << kind << i;
  }
  EXPECT_EQ(kl_estimate("k1", -1, -3), 2);
  // k3 over all tokens of a vocabulary, weighted by the policy, is the divergence itself; so is k1.
  const std::vector<double> p = {0.5, 0.3, 0.2}, q = {0.2, 0.2, 0.6};
  double exact = 0, k1 = 0, k3 = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    exact += p[i] * std::log(p[i] / q[i]);
    k1 += p[i] * kl_estimate("k1", std::log(p[i]), std::log(q[i]));
    k3 += p[i] * kl_estimate("k3", std::log(p[i]), std::log(q[i]));
  }
  EXPECT_NEAR(k1, exact, 1e-15);
  EXPECT_NEAR(k3, exact, 1e-15);
}

TEST(PolicyLoss, WeightedDivergenceHasTheGradientOfTheExactOne) {
  // Softmax policy over three tokens; the expectation is over the old policy.
  const std::vector<double> old = {0.2, 0.5, 0.3}, ref = {0.6, 0.1, 0.3}, p = {0.5, 0.3, 0.2};
  for (std::size_t j = 0; j < 3; ++j) {  // by logit j: d log p_i / d logit_j = [i = j] - p_j
    double got = 0, want = 0, exact = 0;
    for (std::size_t i = 0; i < 3; ++i) exact += p[i] * std::log(p[i] / ref[i]);
    want = p[j] * (std::log(p[j] / ref[j]) - exact);
    for (std::size_t i = 0; i < 3; ++i) {
      Case c;
      c.begins = {0, 1};
      c.fresh = {std::log(p[i])}, c.old = {std::log(old[i])}, c.ref = {std::log(ref[i])};
      c.advantage = {0}, c.weight = {1};
      std::vector<double> gradient;
      c.loss({.kl = "k3_weighted", .beta = 1}, &gradient);
      got += old[i] * gradient[0] * ((i == j ? 1 : 0) - p[j]);
    }
    EXPECT_NEAR(got, want, 1e-15);
  }
}

TEST(PolicyLoss, FarAwayPoliciesStayFinite) {
  Case c = random_case(0.4);
  c.fresh[0] = -1e4, c.old[1] = -1e4, c.ref[2] = -1e4;
  for (const char* ratio : {"token", "sequence", "product"})
    for (const char* kl : {"k1", "k2", "k3", "k3_weighted"}) {
      std::vector<double> gradient;
      EXPECT_TRUE(std::isfinite(c.loss({.ratio = ratio, .kl = kl, .beta = 1}, &gradient).loss)) << ratio << kl;
      for (const double d : gradient) EXPECT_TRUE(std::isfinite(d)) << ratio << kl;
    }
}

TEST(PolicyLoss, MaskedAnswersTakeNoPart) {
  Case c = random_case(0.4);
  c.weight = token_weights(c.begins, {false, true, false, false, true}, "token_mean", 32);
  const PolicyReport report = c.loss({});
  EXPECT_EQ(report.tokens, 4);
  for (index_t k = 0; k < c.begins.back(); ++k) {
    const bool counts = k < c.begins[1] || (k >= c.begins[3] && k < c.begins[4]);
    EXPECT_EQ(c.weight[static_cast<std::size_t>(k)], counts ? 0.25 : 0);
  }
}

TEST(PolicyLoss, WeightsOfEachAggregation) {
  const std::vector<index_t> begins = {0, 1, 4};
  EXPECT_EQ(token_weights(begins, {}, "token_mean", 8), std::vector<double>(4, 0.25));
  EXPECT_EQ(token_weights(begins, {}, "sequence_mean", 8), (std::vector<double>{0.5, 0.5 / 3, 0.5 / 3, 0.5 / 3}));
  EXPECT_EQ(token_weights(begins, {}, "constant", 8), std::vector<double>(4, 1.0 / 16));
}

TEST(PolicyLoss, SizesThatDoNotMatchAreRefused) {
  Case c = random_case(0.4);
  c.old.pop_back();
  EXPECT_THROW(c.loss({}), Error);
}

TEST(ValueLoss, GradientAndClipping) {
  const std::vector<double> old = {0, 0, 0, 0, 0}, back = {1, 1, -1, 0.05, 1}, weight = {0.2, 0.2, 0.2, 0.2, 0};
  std::vector<double> value = {0.1, 0.5, 0.5, 0.4, 3}, gradient(5), unused(5);
  for (const double clip : {0.0, 0.2}) {
    const ValueReport report = value_loss(gradient, value, old, back, weight, clip);
    EXPECT_EQ(report.clipped, clip > 0 ? 1 : 0);  // the second: it ran towards the return past the border
    for (std::size_t k = 0; k < value.size(); ++k) {
      const double want =
          central_difference(value[k], [&] { return value_loss(unused, value, old, back, weight, clip).loss; });
      EXPECT_NEAR(gradient[k], want, 1e-9) << clip << ' ' << k;
    }
  }
}

}  // namespace
}  // namespace hadal
