#include "post/policy_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/random.h"
#include "post/critic.h"

namespace hadal {
namespace {

ModelConfig tiny_v3() {
  ModelConfig c;
  c.model_type = ModelType::kDeepseekV3;
  c.vocab_size = 19, c.hidden_size = 8, c.intermediate_size = 12, c.num_hidden_layers = 2;
  c.num_attention_heads = c.num_key_value_heads = 2, c.max_position_embeddings = 64;
  c.q_lora_rank = 6, c.kv_lora_rank = 5, c.qk_nope_head_dim = 4, c.qk_rope_head_dim = 2, c.v_head_dim = 4;
  c.n_routed_experts = 4, c.n_shared_experts = 1, c.num_experts_per_tok = 2, c.moe_intermediate_size = 6,
  c.first_k_dense_replace = 1;
  c.scoring_func = "sigmoid", c.topk_method = "noaux_tc", c.norm_topk_prob = true, c.initializer_range = 0.3;
  return c;
}

struct Fixture {
  ThreadPool pool{2};
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  Model model;
  explicit Fixture(const std::string& recipe)
      : exec(pool, recipe == "f64" ? Isa::kReference : best_isa()),
        ctx{exec, saved, scratch, Precision::parse(recipe), {}},
        model(tiny_v3(), ctx.precision, /*train=*/true) {
    model.init(3);
    model.refresh(exec);
  }
  void clear_gradients() {
    model.visit_params([](const Param& p) {
      if (p.grad.empty()) return;
      for (index_t r = 0; r < p.grad.rows; ++r)
        std::memset(p.grad.slice_rows(r, 1).data, 0, static_cast<std::size_t>(bytes_of(p.grad.dtype, p.grad.cols)));
    });
  }
};

/// Five answers of different lengths whose ratios are near one, so that no ratio stands at a border.
std::vector<PolicySample> some_samples(Fixture& f) {
  std::vector<PolicySample> samples;
  std::uint64_t at = 0;
  for (const int length : {3, 1, 6, 2, 4}) {
    PolicySample& s = samples.emplace_back();
    for (int i = 0; i < 2 + length % 3; ++i)
      s.prompt.push_back(static_cast<int>(random_below(9, Stream::kTest, at++, 19)));
    for (int i = 0; i < length; ++i) s.tokens.push_back(static_cast<int>(random_below(9, Stream::kTest, at++, 19)));
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
  Critic critic(8, {.weight = 0.5});
  NamedViews head = critic.state();
  for (index_t d = 0; d < 8; ++d) head[0].second.as<float>()(0, d) = 0.25F * static_cast<float>(d % 3);
  const PolicyHeadLoss::Options o{.policy = {.kl = "k3", .beta = 0.2}, .entropy_weight = 0.1, .critic = &critic};
  PolicyHeadLoss::Report report;
  f.clear_gradients();
  run(f, samples, 1000, o, report);
  EXPECT_GT(report.entropy, 0);
  EXPECT_EQ(report.policy.tokens, 14);
  struct Probe {
    std::string name;
    double* value;
    double gradient;
  };
  std::vector<Probe> probes;
  f.model.visit_params([&](const Param& p) {
    if (!p.trainable || p.grad.empty()) return;
    const index_t r = p.value.rows / 2, c = p.value.cols / 3;
    probes.push_back({p.name, &p.value.as<double>()(r, c), p.grad.as<double>()(r, c)});
  });
  for (const Probe& p : probes) {
    const double at = *p.value, h = 1e-6;
    *p.value = at + h;
    const double up = run(f, samples, 1000, o, report);
    *p.value = at - h;
    const double down = run(f, samples, 1000, o, report);
    *p.value = at;
    EXPECT_NEAR(p.gradient, (up - down) / (2 * h), 1e-7) << p.name;
  }
}

TEST(PolicyBatch, MicroBatchesAddUp) {
  Fixture f("f64");
  const std::vector<PolicySample> samples = some_samples(f);
  const PolicyHeadLoss::Options o{.policy = {.beta = 0.2}};
  PolicyHeadLoss::Report one, many;
  const auto gradients = [&](index_t max_tokens, PolicyHeadLoss::Report& report) {
    f.clear_gradients();
    std::vector<double> all = {run(f, samples, max_tokens, o, report)};
    f.model.visit_params([&](const Param& p) {
      if (!p.grad.empty())
        for (index_t r = 0; r < p.grad.rows; ++r)
          for (index_t c = 0; c < p.grad.cols; ++c) all.push_back(p.grad.as<double>()(r, c));
    });
    return all;
  };
  const std::vector<double> whole = gradients(1000, one), parts = gradients(1, many);
  ASSERT_EQ(whole.size(), parts.size());
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i], parts[i], 1e-12);
  EXPECT_EQ(one.policy.tokens, many.policy.tokens);
  EXPECT_NEAR(one.policy.kl, many.policy.kl, 1e-12);
}

TEST(PolicyBatch, EmptyAnswersAreRefused) {
  Fixture f("f32");
  std::vector<PolicySample> samples = some_samples(f);
  samples[1].tokens.clear();
  EXPECT_THROW(make_micro_batches(samples, kAll, "token_mean", 8, 8), Error);
}

}  // namespace
}  // namespace hadal
