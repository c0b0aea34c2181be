// Losses at the head: gradients by differences, and what must be equal to the cross-entropy of training.
#include "nn/head_loss.h"

#include "nn/nn_support.h"

namespace hadal {
namespace {

/// The gradient of every parameter against central differences of `loss`.
void check_gradients(const ModelConfig& config, HeadLoss& loss) {
  Bench bench(precision_of(DType::kF64));
  Model model(config, bench.ctx.precision, true);
  model.init(11);
  const Batch batch = random_batch(config, {6, 5}, 3);
  const auto value = [&] { return model.train_micro_batch(bench.ctx, batch, {}, loss).main; };
  value();
  expect_gradients(all_params(model), value);
}

/// A loss that mixes rows and is not linear: tanh of the sum of log-probabilities, times a sum over entropies.
double mixed_loss(const LogProbs& p) {
  double sum = 0, entropy = 0;
  for (const double v : p.log_prob) sum += 0.05 * v;
  for (const double v : p.entropy) entropy += v;
  const double t = std::tanh(sum);
  for (double& d : p.dlog_prob) d = 0.05 * (1 - t * t) * entropy;
  for (double& d : p.dentropy) d = t;
  return t * entropy;
}

TEST(HeadLoss, LogProbGradients) {
  for (const ModelConfig& config : {tiny_v3(), tiny_qwen3()}) {
    LogProbLoss loss(mixed_loss, /*wants_entropy=*/true);
    check_gradients(config, loss);
  }
}

TEST(HeadLoss, ScalarHeadGradients) {
  for (ModelConfig config : {tiny_v3(), tiny_qwen3()}) {
    config.scalar_head = true, config.num_nextn_predict_layers = 0;
    ScoreLoss loss([](std::span<const double> score, std::span<double> dscore) {
      EXPECT_EQ(score.size(), 2U);
      const double difference = score[0] - 2 * score[1];
      dscore[0] = 2 * difference, dscore[1] = -4 * difference;
      return difference * difference;
    });
    check_gradients(config, loss);
  }
}

TEST(HeadLoss, MeanLogProbIsTheCrossEntropy) {
  const Batch batch = random_batch(tiny_v3(), {17, 9}, 3);
  for (const char* precision : {"f32", "bf16", "fp8"}) {
    Bench bench(Precision::parse(precision));
    Model usual(tiny_v3(), bench.ctx.precision, true), general(tiny_v3(), bench.ctx.precision, true);
    usual.init(2), general.init(2);
    usual.refresh(bench.exec), general.refresh(bench.exec);
    const LossPolicy policy{.loss_scale = 0.1, .mtp_weight = {0.3}};
    const LossReport want = usual.train_micro_batch(bench.ctx, batch, policy);
    LogProbLoss loss([&](const LogProbs& p) {
      double sum = 0;
      for (std::size_t t = 0; t < p.log_prob.size(); ++t) sum -= 0.1 * p.log_prob[t], p.dlog_prob[t] = -0.1;
      EXPECT_TRUE(p.entropy.empty() && p.dentropy.empty());
      return sum;
    });
    const LossReport got = general.train_micro_batch(bench.ctx, batch, policy, loss);
    EXPECT_NEAR(got.main, 0.1 * want.main, 1e-9);
    EXPECT_EQ(got.mtp, want.mtp);
    EXPECT_EQ(got.main_tokens, want.main_tokens);
    EXPECT_EQ(got.expert_load, want.expert_load);
    const auto a = gradients(usual), b = gradients(general);
    for (const auto& [name, g] : a) {
      double difference = 0, norm = 1e-12;
      for (std::size_t i = 0; i < g.size(); ++i) difference += std::pow(g[i] - b.at(name)[i], 2), norm += g[i] * g[i];
      EXPECT_LT(std::sqrt(difference / norm), std::string_view(precision) == "f32" ? 1e-5 : 0.05) << precision << name;
    }
  }
}

TEST(HeadLoss, LogProbsAreThoseOfEvaluate) {
  const Batch batch = random_batch(tiny_v3(), {17, 9}, 3);
  Bench bench(Precision::parse("bf16"));
  Model model(tiny_v3(), bench.ctx.precision, true);
  model.init(2);
  std::vector<double> log_prob;
  LogProbLoss loss([&](const LogProbs& p) {
    log_prob.assign(p.log_prob.begin(), p.log_prob.end());
    return 0.0;
  });
  model.train_micro_batch(bench.ctx, batch, {}, loss);
  const View nll = bench.saved.view(DType::kF32, 1, static_cast<index_t>(batch.ids.size()));
  model.evaluate(bench.ctx, nll, batch);
  for (index_t t = 0; t < nll.cols; ++t)
    EXPECT_EQ(log_prob[static_cast<std::size_t>(t)], -static_cast<double>(nll.as<float>()(0, t)));
}

}  // namespace
}  // namespace hadal
