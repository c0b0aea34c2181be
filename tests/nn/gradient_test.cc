// The backward pass of whole models against central differences in double, on the reference kernels.
#include "nn/nn_support.h"

namespace hadal {
namespace {

double total_loss(Context& ctx, Model& model, const Batch& batch, const LossPolicy& policy) {
  const LossReport r = model.train_micro_batch(ctx, batch, policy);
  double loss = r.main * policy.loss_scale + r.balance * policy.balance.loss_scale;
  for (std::size_t k = 0; k < r.mtp.size(); ++k) loss += r.mtp[k] * policy.loss_scale * policy.mtp_weight[k];
  return loss;
}

void check_gradients(const ModelConfig& config, const LossPolicy& policy) {
  Bench bench(precision_of(DType::kF64));
  Model model(config, bench.ctx.precision, true);
  model.init(11);
  const Batch batch = random_batch(config, {6, 5}, 3);
  const auto value = [&] { return total_loss(bench.ctx, model, batch, policy); };
  value();
  expect_gradients(all_params(model), value);
}

LossPolicy policy_of(int mtp_depth) {
  LossPolicy p;
  p.loss_scale = 0.1;
  for (int k = 0; k < mtp_depth; ++k) p.mtp_weight.push_back(0.3 / mtp_depth);
  return p;
}

TEST(Gradient, V3WithMtpAndSequenceLoss) {
  LossPolicy policy = policy_of(1);
  policy.balance.loss.sequence_alpha = 0.05F;
  check_gradients(tiny_v3(), policy);
}

TEST(Gradient, V3WithTwoMtpModulesBeforeTheFinalNorm) {
  ModelConfig c = tiny_v3();
  c.num_nextn_predict_layers = 2;
  LossPolicy policy = policy_of(2);
  policy.mtp_from_normed = false;
  check_gradients(c, policy);
}

TEST(Gradient, V2WithoutQueryCompressionAndWithItsThreeLosses) {
  ModelConfig c = tiny_v3();
  c.model_type = ModelType::kDeepseekV2, c.q_lora_rank = 0, c.num_nextn_predict_layers = 0;
  c.scoring_func = "softmax", c.topk_method = "group_limited_greedy", c.norm_topk_prob = false;
  c.n_group = 2, c.topk_group = 1;
  LossPolicy policy = policy_of(0);
  policy.balance.loss = {
      .expert_alpha = 0.03F, .device_alpha = 0.05F, .communication_alpha = 0.02F, .num_groups = 2, .topk_group = 1};
  check_gradients(c, policy);
}

TEST(Gradient, V2WithDroppedTokens) {
  ModelConfig c = tiny_v3();
  c.model_type = ModelType::kDeepseekV2, c.num_nextn_predict_layers = 0;
  for (const bool normalised : {false, true}) {
    c.scoring_func = "softmax", c.topk_method = "greedy", c.norm_topk_prob = normalised;
    LossPolicy policy = policy_of(0);
    policy.balance.loss.num_groups = 2;
    policy.balance.capacity_factor = 0.8, policy.balance.keep_rate = 0;
    check_gradients(c, policy);
  }
}

TEST(Gradient, Qwen3WithTiedEmbeddingBiasAndHeadNorms) {
  check_gradients(tiny_qwen3(), policy_of(0));
}

TEST(Gradient, FirstDeepSeekMoeWithoutSharedExperts) {
  LossPolicy policy = policy_of(0);
  policy.balance.loss.expert_alpha = 0.03F;
  check_gradients(tiny_moe_v1(), policy);
}

TEST(Gradient, AddsUpOverMicroBatches) {
  Bench bench(precision_of(DType::kF64));
  Model model(tiny_v3(), bench.ctx.precision, true);
  model.init(2);
  const Batch batch = random_batch(model.config(), {6, 5}, 3);
  model.train_micro_batch(bench.ctx, batch, policy_of(1));
  const auto once = gradients(model);
  model.train_micro_batch(bench.ctx, batch, policy_of(1));
  for (const auto& [name, twice] : gradients(model))
    for (std::size_t i = 0; i < twice.size(); ++i) EXPECT_NEAR(twice[i], 2 * once.at(name)[i], 1e-12) << name;
}

TEST(Gradient, DoesNotDependOnRecomputationOrThreads) {
  const Batch batch = random_batch(tiny_v3(), {17, 9}, 3);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    std::map<std::string, std::vector<double>> first;
    for (int variant = 0; variant < 16; ++variant) {
      Bench bench(precision_of(dtype), 1 + variant / 8, {(variant & 1) != 0, (variant & 2) != 0, (variant & 4) != 0});
      Model model(tiny_v3(), bench.ctx.precision, true);
      model.init(2);
      model.train_micro_batch(bench.ctx, batch, policy_of(1));
      const auto grads = gradients(model);
      if (variant == 0) first = grads;
      EXPECT_EQ(grads, first) << dtype_name(dtype) << " variant " << variant;
    }
  }
}

TEST(Gradient, DeferredWeightGradientsAreTheSame) {
  const Batch batch = random_batch(tiny_v3(), {17, 9}, 3);
  Bench bench(precision_of(DType::kF32));
  Model model(tiny_v3(), bench.ctx.precision, true), later(tiny_v3(), bench.ctx.precision, true);
  model.init(2), later.init(2);
  model.train_micro_batch(bench.ctx, batch, policy_of(1));
  std::vector<DeferredWeightGrad> deferred;
  Context ctx{bench.exec, bench.saved, bench.scratch, bench.ctx.precision, {}, &deferred};
  later.train_micro_batch(ctx, batch, policy_of(1));
  EXPECT_NE(gradients(later), gradients(model));
  EXPECT_GT(deferred.size(), 10U);
  for (const DeferredWeightGrad& run : deferred) run();
  EXPECT_EQ(gradients(later), gradients(model));
}

TEST(Gradient, MtpDoesNotTouchTheMainLoss) {
  const Batch batch = random_batch(tiny_v3(), {17, 9}, 3);
  Bench bench(precision_of(DType::kF32));
  Model model(tiny_v3(), bench.ctx.precision, true);
  model.init(2);
  EXPECT_EQ(model.train_micro_batch(bench.ctx, batch, policy_of(0)).main,
            model.train_micro_batch(bench.ctx, batch, policy_of(1)).main);
}

}  // namespace
}  // namespace hadal
