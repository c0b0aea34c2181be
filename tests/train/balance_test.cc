#include "train/balance.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace hadal {
namespace {

ModelConfig router_only() {
  ModelConfig c;
  c.model_type = ModelType::kDeepseekV3;
  c.vocab_size = 1500, c.hidden_size = 32, c.intermediate_size = 32, c.num_hidden_layers = 1;
  c.num_attention_heads = c.num_key_value_heads = 2, c.max_position_embeddings = 64;
  c.kv_lora_rank = 16, c.qk_nope_head_dim = 8, c.qk_rope_head_dim = 8, c.v_head_dim = 16;
  c.n_routed_experts = 8, c.num_experts_per_tok = 2, c.moe_intermediate_size = 8;
  c.scoring_func = "sigmoid", c.topk_method = "noaux_tc", c.norm_topk_prob = true;
  return c;
}

TEST(Balance, MaxViolation) {
  EXPECT_DOUBLE_EQ(max_violation({3, 1, 1, 3}), 0.5);
  EXPECT_DOUBLE_EQ(max_violation({2, 2}), 0);
  EXPECT_DOUBLE_EQ(max_violation({0, 0}), 0);
}

TEST(Balance, BiasMovesByTheSignOfTheError) {
  Model model(router_only(), Precision{.compute = DType::kF32}, false);
  update_router_bias(model, {{10, 0, 5, 5, 5, 5, 5, 5}}, 0.25);
  const auto bias = model.moe_layers()[0]->correction_bias().as<float>();
  EXPECT_EQ(bias(0, 0), -0.25F);
  EXPECT_EQ(bias(0, 1), 0.25F);
  for (index_t e = 2; e < 8; ++e) EXPECT_EQ(bias(0, e), 0.0F);
}

/// MaxVio of a frozen model with a skewed router after bias updates on fresh tokens, fast ones first. Spec T14.
double violation_after(int steps, double speed) {
  ThreadPool pool(2);
  Exec exec(pool);
  Arena saved, scratch;
  Context ctx{exec, saved, scratch, Precision{.compute = DType::kF32}, {}};
  Model model(router_only(), ctx.precision, true);
  model.init(3);
  // A skewed start: one direction of the router weight favours the first experts for nearly every token.
  model.visit_params([](const Param& p) {
    if (p.name == "model.layers.0.post_attention_layernorm.weight") p.value.as<float>()(0, 0) = 6;
    if (p.name == "model.layers.0.mlp.gate.weight")
      for (index_t e = 0; e < p.value.rows; ++e) p.value.as<float>()(e, 0) = e < 2 ? 0.5F : -0.1F;
    if (p.name == "model.embed_tokens.weight")
      for (index_t v = 0; v < p.value.rows; ++v) p.value.as<float>()(v, 0) = 0.1F;
  });
  double mean = 0;
  constexpr int kLast = 20;
  for (int step = 0; step < steps; ++step) {
    Batch batch;
    for (int i = 0; i < 2048; ++i) {
      batch.ids.push_back(
          static_cast<int>(random_below(9, Stream::kTest, static_cast<std::uint64_t>(step * 2048 + i), 1500)));
      batch.positions.push_back(i % 64);
    }
    batch.targets = batch.ids;
    for (index_t b = 0; b <= 2048; b += 64) batch.sequence_begins.push_back(b);
    batch.segment_begins = batch.sequence_begins;
    const LossReport report = model.train_micro_batch(ctx, batch, {});
    if (step >= steps - kLast) mean += max_violation(report.expert_load[0]) / kLast;
    update_router_bias(model, report.expert_load, step < steps / 2 ? speed : speed / 20);
  }
  return mean;
}

TEST(Balance, BiasUpdateLevelsASkewedRouter) {
  EXPECT_GT(violation_after(60, 0), 1.0);
  EXPECT_LT(violation_after(240, 0.006), 0.2);
}

}  // namespace
}  // namespace hadal
