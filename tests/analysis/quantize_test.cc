// Recipes compared, and what the report says of them.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "analysis/quantize/quantize_report.h"
#include "nn/nn_support.h"
#include "nn/weights.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

TEST(LogitGap, ByHand) {
  ThreadPool pool(2);
  const float ln3 = std::log(3.0F);
  // Source: (3/4, 1/4) twice; other: (1/2, 1/2), then (1/4, 3/4).
  const std::vector<float> source = {ln3, 0, 5 + ln3, 5}, other = {1, 1, 0, ln3};
  LogitGapCounter counter;
  counter.add(pool, {source.data(), 2, 2, 2}, {other.data(), 2, 2, 2}, std::array{0, -1});
  const LogitGap gap = counter.finish();
  const double first = 0.75 * std::log(1.5) + 0.25 * std::log(0.5), second = 0.5 * std::log(3.0);
  EXPECT_EQ(gap.positions, 2);
  EXPECT_NEAR(gap.mean_kl, (first + second) / 2, 1e-6);
  EXPECT_NEAR(gap.max_kl, second, 1e-6);
  EXPECT_NEAR(gap.p99_kl, second, 1e-6);
  EXPECT_EQ(gap.top1, 0.5);
  EXPECT_NEAR(gap.source_perplexity, 4.0 / 3, 1e-6);
  EXPECT_NEAR(gap.perplexity, 2, 1e-6);
}

TEST(WeightRecipe, EitherMemoryOrFile) {
  const WeightRecipe engine = WeightRecipe::parse("int8,experts=int4,head=bf16");
  EXPECT_FALSE(engine.gguf);
  EXPECT_EQ(engine.pack.attention, DType::kI8);
  EXPECT_EQ(engine.pack.experts, DType::kI4);
  EXPECT_FALSE(engine.pack.head);
  const WeightRecipe file = WeightRecipe::parse("q4_k,head=q6_k,embedding=bf16");
  ASSERT_TRUE(file.gguf);
  const Param head{.name = "lm_head.weight", .value = {}, .grad = {}},
      router{.name = "model.layers.3.mlp.gate.weight", .value = {}, .grad = {}},
      expert{.name = "model.layers.3.mlp.experts.7.up_proj.weight", .value = {}, .grad = {}};
  EXPECT_EQ(file.type_of(head), GgmlType::kQ6_K);
  EXPECT_EQ(file.type_of(expert), GgmlType::kQ4_K);
  EXPECT_EQ(file.type_of(router), GgmlType::kF32);
  for (const char* bad :
       {"int5", "experts", "experts=", "q4_k,experts=int4", "router=q8_0", "q9_z", "int8,plain=q8_0", ""})
    EXPECT_THROW(WeightRecipe::parse(bad), Error) << bad;
}

ModelConfig small_config() {
  ModelConfig config = tiny_v3();
  config.num_nextn_predict_layers = 0;
  config.num_experts_per_tok = config.n_routed_experts = 2;  // a choice that flips would say nothing of the weights
  config.hidden_size = 256, config.q_lora_rank = 256, config.kv_lora_rank = 256, config.v_head_dim = 64,
  config.num_attention_heads = config.num_key_value_heads = 4, config.intermediate_size = 256,
  config.moe_intermediate_size = 256;
  config.num_hidden_layers = 1, config.first_k_dense_replace = 0, config.initializer_range = 0.1;
  return config;
}

TEST(Quantize, FewerBitsAreFartherAndSmaller) {
  const TempDir dir;
  ThreadPool pool(2);
  const ModelConfig config = small_config();
  {
    Model model(config, {.compute = DType::kF32}, false);
    model.init(3);
    save_model(model, dir / "m", DType::kBF16);
  }
  const QuantizeText text{random_batch(config, {45}, 2).ids, 16};
  std::vector<WeightRecipe> recipes;
  for (const char* name : {"f32", "bf16", "int8", "fp8-weights", "int4"}) recipes.push_back(WeightRecipe::parse(name));
  const std::vector<QuantizeResult> engine = compare_recipes(pool, dir / "m", text, recipes);
  EXPECT_LT(engine[0].gap.max_kl, 1e-9) << "packed f32 weights are the source";
  EXPECT_EQ(engine[0].gap.top1, 1);
  for (std::size_t i = 1; i < engine.size(); ++i) {
    EXPECT_GT(engine[i].gap.mean_kl, engine[i - 1].gap.mean_kl) << engine[i].recipe;
    EXPECT_EQ(engine[i].gap.positions, 45);
    EXPECT_EQ(engine[i].gap.source_perplexity, engine[0].gap.source_perplexity);
  }
  EXPECT_LT(engine[4].total_bytes, 0.7 * engine[2].total_bytes);
  EXPECT_NEAR(engine[1].bits_per_weight, 16, 0.5);

  recipes.clear();
  for (const char* name : {"f32,cache=bf16", "f32,cache=int8", "f32,cache=fp8"})
    recipes.push_back(WeightRecipe::parse(name));
  const std::vector<QuantizeResult> cache = compare_recipes(pool, dir / "m", text, recipes);
  EXPECT_LT(cache[0].gap.max_kl, 1e-6);
  EXPECT_GT(cache[1].gap.mean_kl, 10 * cache[0].gap.mean_kl);
  EXPECT_GT(cache[2].gap.mean_kl, cache[1].gap.mean_kl);
  EXPECT_LT(cache[2].gap.mean_kl, engine[4].gap.mean_kl);

  recipes.clear();
  for (const char* name : {"f16", "q8_0", "q6_k", "q5_k", "q4_k", "q4_0"}) recipes.push_back(WeightRecipe::parse(name));
  const std::vector<QuantizeResult> file = compare_recipes(pool, dir / "m", text, recipes);
  for (std::size_t i = 1; i < file.size(); ++i)  // both of 4 bits after that of 5
    EXPECT_GT(file[i].gap.mean_kl, file[std::min<std::size_t>(i - 1, 3)].gap.mean_kl) << file[i].recipe;

  // The written file holds the values that were compared.
  write_quantized(pool, dir / "m", recipes[3], dir / "m.gguf");
  const WeightRecipe as_is = WeightRecipe::parse("f32");
  const QuantizeResult again = compare_recipes(pool, dir / "m.gguf", text, {&as_is, 1})[0];
  EXPECT_NEAR(std::log(again.gap.source_perplexity), std::log(file[3].gap.perplexity), 1e-6);
  EXPECT_THROW(write_quantized(pool, dir / "m", as_is, dir / "x.gguf"), Error);
  EXPECT_THROW(compare_recipes(pool, dir / "m", {{1, 2, config.vocab_size}, 16}, recipes), Error);
}

}  // namespace
}  // namespace hadal
