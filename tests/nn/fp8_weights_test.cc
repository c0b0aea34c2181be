// FP8 checkpoints held as they are: codes and scales from file to product, and back to a file.
#include <cstring>
#include <filesystem>

#include "nn/nn_support.h"
#include "nn/weights.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr Precision kHeld{.compute = DType::kF32, .fp8_weights = true};

/// Two models of one config hold the same bytes.
void expect_same(Model& a, Model& b) {
  std::vector<Param> params;
  a.visit_params([&](const Param& p) { params.push_back(p); });
  std::size_t i = 0;
  b.visit_params([&](const Param& p) {
    const Param& want = params.at(i++);
    ASSERT_EQ(p.name, want.name);
    ASSERT_EQ(p.value.dtype, want.value.dtype) << p.name;
    for (index_t r = 0; r < p.value.rows; ++r)
      EXPECT_EQ(std::memcmp(p.value.slice_rows(r, 1).data, want.value.slice_rows(r, 1).data,
                            static_cast<std::size_t>(bytes_of(p.value.dtype, p.value.cols))),
                0)
          << p.name;
    for (index_t r = 0; r < p.scales.rows; ++r)
      for (index_t c = 0; c < p.scales.cols; ++c) EXPECT_EQ(p.scales(r, c), want.scales(r, c)) << p.name;
  });
}

TEST(Fp8Weights, AreUsedAsTheCheckpointHasThem) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "shared fixtures are not here";
  for (const char* name : {"deepseek_v3_fp8", "deepseek_v3_fp8_ragged"}) {
    SCOPED_TRACE(name);
    const fs::path folder = shared / "fixtures" / name;
    Bench bench(precision_of(DType::kF32));
    Model wide = load_model(bench.exec, folder, precision_of(DType::kF32), false),
          held = load_model(bench.exec, folder, kHeld, false);
    index_t codes = 0;
    held.visit_params([&](const Param& p) { codes += p.value.dtype == DType::kE4M3 ? 1 : 0; });
    EXPECT_GT(codes, 10);
    const TempDir dir;
    save_model(held, dir / "again", DType::kF32);
    Model again = load_model(bench.exec, dir / "again", kHeld, false);
    expect_same(held, again);
    ASSERT_TRUE(again.config().fp8);

    held.pack(bench.exec);
    const std::vector<int> ids = random_batch(wide.config(), {30}, 2).ids;
    for (const bool absorbed : {false, true})
      EXPECT_LT(distance(logits_of(bench, wide, ids, true, absorbed), logits_of(bench, held, ids, true, absorbed)),
                2e-5)
          << "absorbed " << absorbed;
  }
}

// Other sources are quantised, which a second time changes nothing.
TEST(Fp8Weights, OthersAreQuantised) {
  const TempDir dir;
  ModelConfig config = tiny_v3();
  config.hidden_size = 150, config.kv_lora_rank = 140, config.moe_intermediate_size = 130,
  config.initializer_range = 0.1;
  config.num_experts_per_tok = config.n_routed_experts;
  Bench bench(precision_of(DType::kF32));
  {
    Model model(config, precision_of(DType::kF32), false);
    model.init(3);
    save_model(model, dir / "f32", DType::kF32);
  }
  Model wide = load_model(bench.exec, dir / "f32", precision_of(DType::kF32), false),
        held = load_model(bench.exec, dir / "f32", kHeld, false);
  save_model(held, dir / "fp8", DType::kF32);
  Model from_fp8 = load_model(bench.exec, dir / "fp8", precision_of(DType::kF32), false);
  held.pack(bench.exec);
  const std::vector<int> ids = random_batch(config, {30}, 2).ids;
  const View want = logits_of(bench, wide, ids, true), got = logits_of(bench, held, ids, true);
  EXPECT_LT(distance(want, got), 0.15);
  EXPECT_GT(distance(want, got), 1e-3);
  EXPECT_LT(distance(got, logits_of(bench, from_fp8, ids, true)), 2e-5);
}

TEST(Fp8Weights, TakeOtherFormsToo) {
  EXPECT_EQ(PackRecipe::parse("fp8-weights,experts=int4").experts, DType::kI4);
  EXPECT_EQ(PackRecipe::parse("fp8-weights").attention, DType::kE4M3);
  EXPECT_FALSE(PackRecipe::parse("fp8-weights").head);
  EXPECT_FALSE(PackRecipe::parse("as-stored").attention);
  EXPECT_FALSE(PackRecipe::parse("int8,dense=bf16").dense);
  for (const char* bad : {"", "int5", "experts=", "experts=int5", "expert=int4", "int8,", "int8;head=int4", "=int8"})
    EXPECT_THROW(PackRecipe::parse(bad), Error) << bad;
  ModelConfig config = tiny_v3();
  config.hidden_size = 64;
  Bench bench(kHeld);
  Model model(config, kHeld, false);  // all weights zero
  model.pack(bench.exec, PackRecipe::parse("int8"));
  const View hidden = bench.ctx.keep(3, 64);
  EXPECT_NO_THROW(model.forward(bench.ctx, hidden, std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace hadal
