#include "nn/moe.h"

#include "nn/nn_support.h"

namespace hadal {
namespace {

constexpr index_t kTokens = 40, kHidden = 12;

/// One forward pass of a layer with 8 experts in 4 groups; what became of each choice.
MoeSaved forward(Bench& bench, const Moe& moe, const BalancePolicy& balance, std::span<const index_t> sequences) {
  const View h = bench.ctx.keep(kTokens, kHidden), x = bench.ctx.keep(kTokens, kHidden);
  for (index_t t = 0; t < kTokens; ++t)
    for (index_t d = 0; d < kHidden; ++d) {
      const auto place = static_cast<std::uint64_t>(t * kHidden + d);
      h.as<float>()(t, d) = static_cast<float>(random_uniform(4, Stream::kTest, place)) - 0.3F;
      x.as<float>()(t, d) = 0;
    }
  MoeSaved saved;
  const ForwardBatch batch{.sequence_begins = sequences};
  moe.forward(bench.ctx, x, h, batch, &balance, &saved, nullptr);
  return saved;
}

ModelConfig config() {
  ModelConfig c = tiny_moe_v1();
  c.model_type = ModelType::kDeepseekV2;
  c.n_routed_experts = 8, c.num_experts_per_tok = 2, c.moe_intermediate_size = 4;
  return c;
}

struct Layer {
  Bench bench{precision_of(DType::kF32)};
  Moe moe{config(), "mlp", precision_of(DType::kF32), true};
  Layer() {
    moe.visit_params([](const Param& p) {
      for (index_t i = 0; i < p.value.count(); ++i)
        p.value.as<float>().data[i] =
            static_cast<float>(random_uniform(7, Stream::kTest, static_cast<std::uint64_t>(i))) - 0.5F;
    });
  }
};

TEST(TokenDropping, GroupsKeepTheirMostCertainChoices) {
  Layer layer;
  const std::vector<index_t> sequences = {0, kTokens};
  constexpr std::size_t kGroups = 4, kCapacity = 16;  // 0.8 * 40 * 2 / 4
  BalancePolicy policy;
  policy.loss.num_groups = kGroups;
  policy.capacity_factor = 0.8, policy.keep_rate = 0;
  const MoeSaved saved = forward(layer.bench, layer.moe, policy, sequences);
  const Mat<const float> weight = ConstView(saved.choice.weight_TA).as<float>();
  std::size_t dropped = 0;
  for (std::size_t g = 0; g < kGroups; ++g) {
    std::vector<float> kept, lost;
    for (index_t t = 0; t < kTokens; ++t)
      for (index_t a = 0; a < 2; ++a)
        if (static_cast<std::size_t>(saved.choice.index_TA(t, a)) / 2 == g)
          (saved.plan.slot_TA(t, a) >= 0 ? kept : lost).push_back(weight(t, a));
    EXPECT_EQ(kept.size(), std::min(kept.size() + lost.size(), kCapacity));
    if (!lost.empty()) {
      EXPECT_GE(*std::min_element(kept.begin(), kept.end()), *std::max_element(lost.begin(), lost.end()));
    }
    dropped += lost.size();
  }
  EXPECT_GT(dropped, 0U) << "the case tests nothing";
  EXPECT_EQ(static_cast<std::size_t>(saved.plan.offsets.back()), 2 * kTokens - dropped);
}

TEST(TokenDropping, SparesAShareOfTheSequences) {
  Layer layer;
  std::vector<index_t> sequences;
  for (index_t s = 0; s <= kTokens; s += 2) sequences.push_back(s);
  BalancePolicy policy;
  policy.loss.num_groups = 4;
  policy.capacity_factor = 0.05;
  const auto kept = [&](double keep_rate) {
    policy.keep_rate = keep_rate;
    return forward(layer.bench, layer.moe, policy, sequences).plan.offsets.back();
  };
  EXPECT_EQ(kept(1), 2 * kTokens);
  EXPECT_EQ(kept(0), 4);  // one choice for each group
  EXPECT_GT(kept(0.5), kTokens / 2);
  EXPECT_LT(kept(0.5), 3 * kTokens / 2);
}

}  // namespace
}  // namespace hadal
