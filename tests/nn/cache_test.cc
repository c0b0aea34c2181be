// Generation over a cache, in expanded and absorbed form, against the forward pass without one.
#include "nn/generate.h"
#include "nn/nn_support.h"

namespace hadal {
namespace {

void check_cache(const ModelConfig& config) {
  Bench bench(precision_of(DType::kF32));
  Model model(config, bench.ctx.precision, false);
  model.init(4);
  const std::vector<int> ids = random_batch(config, {23}, 8).ids;
  const View whole = bench.ctx.keep(23, config.hidden_size);
  model.forward(bench.ctx, whole, ids);
  for (const bool absorbed : {false, true}) {
    if (absorbed && !config.uses_mla()) continue;
    for (const int chunk : {1, 7, 23}) {
      SequenceCache cache = model.make_cache(23);
      const View parts = bench.ctx.keep(23, config.hidden_size);
      for (int first = 0; first < 23; first += chunk) {
        const int count = std::min(chunk, 23 - first);
        model.forward(bench.ctx, parts.slice_rows(first, count),
                      std::span(ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), &cache,
                      absorbed);
      }
      for (index_t t = 0; t < 23; ++t)
        for (index_t d = 0; d < config.hidden_size; ++d)
          EXPECT_NEAR(parts.as<float>()(t, d), whole.as<float>()(t, d), 2e-5)
              << "absorbed " << absorbed << " chunk " << chunk << " token " << t;
    }
  }
  SequenceCache small = model.make_cache(10);
  EXPECT_THROW(model.forward(bench.ctx, whole, ids, &small), Error);
}

TEST(Cache, Mla) {
  check_cache(tiny_v3());
}
TEST(Cache, MlaWithYarn) {
  ModelConfig c = tiny_v3();
  c.rope_scaling.type = "yarn", c.rope_scaling.factor = 4, c.rope_scaling.original_max_position_embeddings = 16;
  c.rope_scaling.mscale = c.rope_scaling.mscale_all_dim = 1.0;
  check_cache(c);
}
TEST(Cache, Gqa) {
  check_cache(tiny_qwen3());
}
TEST(Cache, FirstMoe) {
  check_cache(tiny_moe_v1());
}

TEST(Generate, SamplingIsAFunctionOfSeedAndPlace) {
  Bench bench(precision_of(DType::kF32));
  Model model(tiny_v3(), bench.ctx.precision, false);
  model.init(4);
  const std::vector<int> prompt = {1, 2, 3};
  const SamplingOptions options{.temperature = 1, .top_p = 0.9, .seed = 9};
  const auto all = generate(bench.ctx, model, prompt, 12, options);
  EXPECT_EQ(generate(bench.ctx, model, prompt, 12, options), all);
  std::vector<int> longer = prompt;
  longer.insert(longer.end(), all.begin(), all.begin() + 5);
  EXPECT_EQ(generate(bench.ctx, model, longer, 7, options), std::vector<int>(all.begin() + 5, all.end()));
}

TEST(Generate, SamplesFollowTheDistributionAndTheNucleus) {
  const float logits[] = {std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
  const ConstView row = view_of(Mat<const float>{logits, 1, 4, 4});
  int count[4] = {};
  for (std::uint64_t i = 0; i < 20000; ++i) ++count[sample_token(row, {.temperature = 1, .top_p = 1, .seed = 1}, i)];
  const double want[] = {0.5, 0.3, 0.15, 0.05};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(count[i] / 20000.0, want[i], 0.012) << i;
  for (std::uint64_t i = 0; i < 2000; ++i)
    EXPECT_LT(sample_token(row, {.temperature = 1, .top_p = 0.7, .seed = 1}, i), 2);
  EXPECT_EQ(sample_token(row, {.temperature = 0}, 0), 0);
}

}  // namespace
}  // namespace hadal
