#include "train/lora.h"

#include "nn/nn_support.h"

namespace hadal {
namespace {

double loss_of(Bench& bench, Model& model, const Batch& batch) {
  return 0.1 * model.train_micro_batch(bench.ctx, batch, {.loss_scale = 0.1}).main;
}

TEST(Lora, GradientsByDifferences) {
  const ModelConfig config = tiny_v3();
  Bench bench(precision_of(DType::kF64));
  Model model(config, bench.ctx.precision, true);
  model.init(11);
  Lora lora(bench.exec, model, {.rank = 2, .alpha = 3}, 5);
  const TrainedParams params = lora.params();
  std::vector<Param> all;
  params.visit([&](const Param& p) { all.push_back(p); });
  EXPECT_GT(all.size(), 20U);  // attention, dense, shared and routed experts
  // B is zero at the start, which hides A's gradient.
  for (const Param& p : all)
    for (index_t i = 0; i < p.value.count(); ++i)
      if (p.name.ends_with("lora_B.weight"))
        p.value.flat<double>()[static_cast<std::size_t>(i)] =
            0.1 * random_normal(3, Stream::kTest, static_cast<std::uint64_t>(i));
  const Batch batch = random_batch(config, {6, 5}, 3);
  const auto value = [&] {
    params.changed(bench.exec);
    return loss_of(bench, model, batch);
  };
  value();
  lora.take_gradients(bench.exec);
  model.visit_params([](const Param& p) {
    for (index_t r = 0; r < p.grad.rows; ++r)
      for (index_t c = 0; c < p.grad.cols; ++c) ASSERT_EQ(p.grad.as<double>()(r, c), 0) << p.name;
  });
  expect_gradients(all, value, 1e-6, 0);
}

TEST(Lora, ANewAdapterChangesNothing) {
  const Batch batch = random_batch(tiny_v3(), {17, 9}, 3);
  Bench bench(precision_of(DType::kBF16));
  Model model(tiny_v3(), bench.ctx.precision, true);
  model.init(2);
  const double before = loss_of(bench, model, batch);
  Lora lora(bench.exec, model, {.rank = 2}, 5);
  lora.apply(bench.exec);
  EXPECT_EQ(loss_of(bench, model, batch), before);
  EXPECT_THROW(Lora(bench.exec, model, {.rank = 2, .targets = {"none"}}, 5), Error);
}

TEST(Lora, WithoutItIsTheModelThatWasGiven) {
  const ModelConfig config = tiny_v3();
  Bench bench(precision_of(DType::kBF16));
  Model model(config, bench.ctx.precision, true);
  model.init(2);
  const std::vector<int> ids = random_batch(config, {17}, 3).ids;
  const auto bits = [&] {
    const auto values = logits_of(bench, model, ids).flat<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> given = bits();
  const std::unique_ptr<Lora> lora = make_lora(bench.exec, model, {.rank = 2}, 5);
  lora->params().visit([](const Param& p) {
    for (index_t i = 0; i < p.value.count(); ++i)
      p.value.flat<float>()[static_cast<std::size_t>(i)] += 0.1F * static_cast<float>(i % 3);
  });
  model.visit_params([](const Param& p) {
    if (!p.trainable) p.value.as<float>()(0, 1) += 3;  // the router's choice is another one
  });
  lora->apply(bench.exec);
  const std::vector<float> merged = bits();
  EXPECT_NE(merged, given);
  lora->without(bench.exec, [&] { EXPECT_EQ(bits(), given); });
  EXPECT_EQ(bits(), merged);
  EXPECT_EQ(make_lora(bench.exec, model, {}, 5), nullptr);
}

}  // namespace
}  // namespace hadal
