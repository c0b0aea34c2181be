#include "post/policy_batch.h"

#include <algorithm>

#include "nn/nn_support.h"
#include "post/critic.h"

namespace hadal {
namespace {

/// tiny_v3 of which no module stays out of the loss.
ModelConfig policy_model() {
  ModelConfig c = tiny_v3();
  c.num_nextn_predict_layers = 0;
  return c;
}

struct Fixture : Bench {
  Model model;
  explicit Fixture(const std::string& recipe)
      : Bench(Precision::parse(recipe)), model(policy_model(), ctx.precision, /*train=*/true) {
    model.init(3);
    model.refresh(exec);
  }
};

/// Five answers of different lengths whose ratios are near one, so that no ratio stands at a border.
std::vector<PolicySample> some_samples(Fixture& f) {
  std::vector<PolicySample> samples;
  std::uint64_t at = 0;
  for (const int length : {3, 1, 6, 2, 4}) {
    PolicySample& s = samples.emplace_back();
    for (int i = 0; i < 2 + length % 3; ++i)
      s.prompt.push_back(static_cast<int>(random_below(9, Stream::kTest, at++, 23)));
    for (int i = 0; i < length; ++i) s.tokens.push_back(static_cast<int>(random_below(9, Stream::kTest, at++, 23)));
  }
  const std::vector<std::vector<double>> now = sample_log_probs(f.ctx, f.model, samples, 1000);
  for (std::size_t i = 0; i < samples.size(); ++i)
    for (const double p : now[i]) {
      samples[i].old_T.push_back(p + 0.05 * random_normal(9, Stream::kTest, at++));
      samples[i].ref_T.push_back(p + 0.3 * random_normal(9, Stream::kTest, at++));
      samples[i].advantage_T.push_back(random_normal(9, Stream::kTest, at++));
      samples[i].value_T.push_back(0.1), samples[i].return_T.push_back(random_normal(9, Stream::kTest, at++));
    }
  samples[3].masked = true;
  return samples;
}

const std::vector<int> kAll = {4, 0, 2, 1, 3};

double run(Fixture& f, std::span<const PolicySample> samples, index_t max_tokens, const PolicyHeadLoss::Options& o,
           PolicyHeadLoss::Report& report) {
  double loss = 0;
  for (const PolicyMicroBatch& m : make_micro_batches(samples, kAll, "token_mean", 8, max_tokens)) {
    PolicyHeadLoss head(m, o, report);
    loss += f.model.train_micro_batch(f.ctx, m.batch, {}, head).main;
  }
  return loss;
}

TEST(PolicyBatch, RowsPredictTheTokensOfTheAnswers) {
  Fixture f("f32");
  const std::vector<PolicySample> samples = some_samples(f);
  std::vector<int> seen;
  for (const PolicyMicroBatch& m : make_micro_batches(samples, kAll, "token_mean", 8, 8)) {
    EXPECT_TRUE(std::ssize(m.batch.ids) <= 8 || m.samples.size() == 1);
    for (std::size_t j = 0; j < m.samples.size(); ++j) {
      const PolicySample& s = samples[static_cast<std::size_t>(m.samples[j])];
      seen.push_back(m.samples[j]);
      ASSERT_EQ(m.begins[j + 1] - m.begins[j], std::ssize(s.tokens));
      for (std::size_t k = 0; k < s.tokens.size(); ++k) {
        const auto at = static_cast<std::size_t>(m.begins[j]) + k, row = static_cast<std::size_t>(m.rows[at]);
        EXPECT_EQ(m.batch.targets[row], s.tokens[k]);
        EXPECT_EQ(m.batch.ids[row], k == 0 ? s.prompt.back() : s.tokens[k - 1]);
        EXPECT_EQ(m.batch.positions[row], static_cast<int>(s.prompt.size() + k) - 1);
        EXPECT_EQ(m.old_T[at], s.old_T[k]);
        EXPECT_EQ(m.weight_T[at], s.masked ? 0 : 1.0 / 14);
      }
    }
  }
  std::ranges::sort(seen);
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(PolicyBatch, GradientThroughTheModel) {
  Fixture f("f64");
  const std::vector<PolicySample> samples = some_samples(f);
  Critic critic(12, {.weight = 0.5});
  NamedViews head = critic.state();
  for (index_t d = 0; d < 12; ++d) head[0].second.as<float>()(0, d) = 0.25F * static_cast<float>(d % 3);
  const PolicyHeadLoss::Options o{.policy = {.kl = "k3", .beta = 0.2}, .entropy_weight = 0.1, .critic = &critic};
  PolicyHeadLoss::Report report;
  clear_gradients(f.model);
  run(f, samples, 1000, o, report);
  EXPECT_GT(report.entropy, 0);
  EXPECT_EQ(report.policy.tokens, 14);
  expect_gradients(all_params(f.model), [&] { return run(f, samples, 1000, o, report); }, 1e-7, 0);
}

TEST(Critic, AGradientThatIsNotUsedIsForgotten) {
  Fixture f("f32");
  const std::vector<PolicySample> samples = some_samples(f);
  Critic critic(12, {});
  const PolicyHeadLoss::Options o{.critic = &critic};
  PolicyHeadLoss::Report report;
  const auto weight = [&] {
    const auto values = critic.state()[0].second.flat<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> before = weight();
  run(f, samples, 1000, o, report);
  critic.step(f.exec, 1, /*used=*/false);
  critic.step(f.exec, 1, /*used=*/true);
  EXPECT_EQ(weight(), before);
  run(f, samples, 1000, o, report);
  critic.step(f.exec, 1, /*used=*/true);
  EXPECT_NE(weight(), before);
}

TEST(PolicyBatch, MicroBatchesAddUp) {
  Fixture f("f64");
  const std::vector<PolicySample> samples = some_samples(f);
  const PolicyHeadLoss::Options o{.policy = {.beta = 0.2}};
  PolicyHeadLoss::Report one, many;
  const auto gradients_of = [&](index_t max_tokens, PolicyHeadLoss::Report& report) {
    clear_gradients(f.model);
    const double loss = run(f, samples, max_tokens, o, report);
    return std::pair(loss, gradients(f.model));
  };
  const auto [loss, whole] = gradients_of(1000, one);
  const auto [sum, parts] = gradients_of(1, many);
  EXPECT_NEAR(loss, sum, 1e-12);
  for (const auto& [name, want] : whole)
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(want[i], parts.at(name)[i], 1e-12) << name;
  EXPECT_EQ(one.policy.tokens, many.policy.tokens);
  EXPECT_NEAR(one.policy.kl, many.policy.kl, 1e-12);
}

// Advantages of a group whose rewards are equal are exact zeros (advantage_test); then the gradient is exactly zero
// too, or with a reference that of the divergence alone.
TEST(PolicyBatch, EqualRewardsLeaveTheGradientOfTheDivergence) {
  Fixture f("f64");
  std::vector<PolicySample> samples = some_samples(f);
  for (PolicySample& s : samples) std::ranges::fill(s.advantage_T, 0.0);
  const auto gradients_with = [&](double beta) {
    const PolicyHeadLoss::Options o{.policy = {.kl = "k3", .beta = beta}};
    PolicyHeadLoss::Report report;
    clear_gradients(f.model);
    run(f, samples, 1000, o, report);
    return gradients(f.model);
  };
  for (const auto& [name, gradient] : gradients_with(0))
    for (const double g : gradient) EXPECT_EQ(g, 0) << name;

  const auto got = gradients_with(0.2);
  clear_gradients(f.model);
  for (const PolicyMicroBatch& m : make_micro_batches(samples, kAll, "token_mean", 8, 1000)) {
    LogProbLoss divergence([&](const LogProbs& p) {
      double sum = 0;
      for (std::size_t k = 0; k < m.rows.size(); ++k) {
        const auto row = static_cast<std::size_t>(m.rows[k]);
        const double d = m.ref_T[k] - p.log_prob[row], weight = 0.2 * m.weight_T[k];
        sum += weight * (std::exp(d) - d - 1);
        p.dlog_prob[row] = weight * (1 - std::exp(d));
      }
      return sum;
    });
    f.model.train_micro_batch(f.ctx, m.batch, {}, divergence);
  }
  for (const auto& [name, want] : gradients(f.model))
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got.at(name)[i], want[i], 1e-15) << name;
}

TEST(PolicyBatch, EmptyAnswersAreRefused) {
  Fixture f("f32");
  std::vector<PolicySample> samples = some_samples(f);
  samples[1].tokens.clear();
  EXPECT_THROW(make_micro_batches(samples, kAll, "token_mean", 8, 8), Error);
}

}  // namespace
}  // namespace hadal
