#include "nn/rope_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace hadal {
namespace {

ModelConfig v3_with_yarn(double mscale) {
  ModelConfig c;
  c.model_type = ModelType::kDeepseekV3;
  c.kv_lora_rank = 512, c.qk_nope_head_dim = 128, c.qk_rope_head_dim = 64, c.v_head_dim = 128;
  c.max_position_embeddings = 163840;
  c.rope_scaling.type = "yarn", c.rope_scaling.factor = 40, c.rope_scaling.original_max_position_embeddings = 4096;
  c.rope_scaling.mscale = c.rope_scaling.mscale_all_dim = mscale;
  return c;
}

// Spec T3: pairs 0-10 keep their frequency, 23-31 are divided by 40, between them a ramp.
TEST(RopePlan, YarnOfV3) {
  const RopePlan plan = make_rope_plan(v3_with_yarn(1.0));
  ASSERT_EQ(plan.inverse_frequency.size(), 32U);
  for (std::size_t i = 0; i < 32; ++i) {
    const double plain = std::pow(10000.0, -2.0 * static_cast<double>(i) / 64);
    const double ramp = std::clamp((static_cast<double>(i) - 10) / 13, 0.0, 1.0);
    EXPECT_NEAR(plan.inverse_frequency[i], plain * (1 - ramp) + plain / 40 * ramp, 1e-15) << i;
  }
  EXPECT_DOUBLE_EQ(plan.gain, 1.0);
  EXPECT_NEAR(plan.softmax_factor / std::sqrt(192.0), 0.1352338, 5e-8);
  EXPECT_NEAR(make_rope_plan(v3_with_yarn(0.707)).softmax_factor / std::sqrt(192.0), 0.1147214, 5e-8);
}

TEST(RopePlan, UnknownScalingIsAnError) {
  ModelConfig c = v3_with_yarn(1);
  c.rope_scaling.type = "ntk";
  EXPECT_THROW(make_rope_plan(c), Error);
}

TEST(RopePlan, TableHoldsCosAndSin) {
  const RopePlan plan = make_rope_plan(v3_with_yarn(1));
  Tensor table = make_rope_table(plan, 5, DType::kF32);
  const auto t = table.view().as<float>();
  EXPECT_NEAR(t(3, 1), std::cos(3 * plan.inverse_frequency[1]), 1e-7);
  EXPECT_NEAR(t(3, 33), std::sin(3 * plan.inverse_frequency[1]), 1e-7);
}

}  // namespace
}  // namespace hadal
