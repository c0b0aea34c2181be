// Models as GGUF files: what goes out comes back the same.
#include <cstring>
#include <filesystem>

#include "formats/gguf_model.h"
#include "nn/gguf_weights.h"
#include "nn/nn_support.h"
#include "nn/weights.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

GgufTypes all_of(GgmlType type) {
  return [type](const Param&) { return type; };
}

TEST(Gguf, EveryFamilyComesBackTheSame) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "shared fixtures are not here";
  const TempDir dir;
  int fixtures = 0;
  for (const auto& entry : fs::directory_iterator(shared / "fixtures")) {
    if (!fs::exists(entry.path() / "golden.safetensors")) continue;
    SCOPED_TRACE(entry.path().filename().string());
    Bench bench(precision_of(DType::kF32));
    Model model = load_model(bench.exec, entry.path(), bench.ctx.precision, false);
    ++fixtures;
    const fs::path file = dir / (entry.path().filename().string() + ".gguf");
    for (const GgufMla mla : {GgufMla::kLegacy, GgufMla::kSplit}) {
      write_gguf_model(bench.exec, file, model, nullptr, all_of(GgmlType::kF32), mla);
      Model again = load_model(bench.exec, file, bench.ctx.precision, false);
      EXPECT_EQ(again.config().num_hidden_layers, model.config().num_hidden_layers);
      const std::vector<int> ids = random_batch(model.config(), {30}, 2).ids;
      const View want = logits_of(bench, model, ids), got = logits_of(bench, again, ids);
      if (model.config().rope_scaling.attn_factor)  // which GGUF keeps in f32
        EXPECT_LT(distance(want, got), 1e-6);
      else
        EXPECT_EQ(std::memcmp(want.data, got.data, static_cast<std::size_t>(bytes_of(want.dtype, want.count()))), 0);
    }
  }
  EXPECT_GE(fixtures, 11);
}

// Rows of the embedding stay in the file, in whatever type it has.
TEST(Gguf, PackedWhileItIsReadGivesTheSameBits) {
  const TempDir dir;
  for (const bool tied : {false, true})
    for (const DType compute : {DType::kF32, DType::kBF16}) {
      ModelConfig config = tiny_qwen3();
      config.hidden_size = 64, config.tie_word_embeddings = tied, config.attention_bias = false;
      Bench bench(precision_of(compute));
      Model model(config, bench.ctx.precision, false);
      model.init(3);
      write_gguf_model(bench.exec, dir / "m.gguf", model, nullptr, all_of(GgmlType::kQ8_0));
      const std::vector<int> ids = random_batch(config, {30}, 2).ids;
      for (const char* weights : {"bf16", "int8"}) {
        // Of a model in bf16, integers are made of what the file holds, not of its bf16
        // (Linear.PacksWhatTheSourceHolds).
        if (compute == DType::kBF16 && weights == std::string_view("int8")) continue;
        Model whole = load_model(bench.exec, dir / "m.gguf", bench.ctx.precision, false);
        whole.pack(bench.exec, PackRecipe::parse(weights));
        Model as_read(load_model_config(dir / "m.gguf"), bench.ctx.precision, false);
        load_packed(as_read, bench.exec, dir / "m.gguf", PackRecipe::parse(weights));
        const View want = logits_of(bench, whole, ids), got = logits_of(bench, as_read, ids);
        EXPECT_EQ(std::memcmp(want.data, got.data, static_cast<std::size_t>(bytes_of(want.dtype, want.count()))), 0)
            << weights << tied;
      }
    }
}

TEST(Gguf, RoundsToTheTypeThatWasAsked) {
  const TempDir dir;
  Bench bench(precision_of(DType::kF32));
  ModelConfig config = tiny_v3();
  config.num_nextn_predict_layers = 0;
  config.num_experts_per_tok = config.n_routed_experts;  // a choice that flips would say nothing of the weights
  config.hidden_size = 256, config.q_lora_rank = 256, config.kv_lora_rank = 256, config.v_head_dim = 64,
  config.num_attention_heads = config.num_key_value_heads = 4, config.intermediate_size = 256,
  config.moe_intermediate_size = 256;
  config.num_hidden_layers = 1, config.first_k_dense_replace = 0, config.initializer_range = 0.05;
  Model model(config, bench.ctx.precision, false);
  model.init(3);
  const std::vector<int> ids = random_batch(config, {30}, 2).ids;
  const View want = logits_of(bench, model, ids);
  // Rounding is off by up to 2^-12 of a value in f16, 2^-9 in bf16, and 1/254 of the largest of 32 in Q8_0, which is
  // about five times as much as bf16 for most of them.
  for (const auto& [type, most] : {std::pair{GgmlType::kF16, 2e-3},
                                   {GgmlType::kBF16, 1e-2},
                                   {GgmlType::kQ8_0, 5e-2},
                                   {GgmlType::kQ6_K, 0.1},
                                   {GgmlType::kQ5_K, 0.2},
                                   {GgmlType::kQ4_K, 0.4},
                                   {GgmlType::kQ4_0, 0.5}}) {
    write_gguf_model(bench.exec, dir / "m.gguf", model, nullptr, all_of(type));
    Model again = load_model(bench.exec, dir / "m.gguf", bench.ctx.precision, false);
    const View got = logits_of(bench, again, ids);
    EXPECT_LT(distance(want, got), most) << ggml_type_info(type).name;
    EXPECT_GT(distance(want, got), most / 20) << ggml_type_info(type).name;
  }
}

TEST(Gguf, NamesWhatDoesNotFit) {
  const TempDir dir;
  Bench bench(precision_of(DType::kF32));
  ModelConfig config = tiny_qwen3();
  config.attention_bias = false;
  Model model(config, bench.ctx.precision, false);
  model.init(3);
  write_gguf_model(bench.exec, dir / "m.gguf", model, nullptr, all_of(GgmlType::kF32));
  config.num_hidden_layers = 3;
  Model deeper(config, bench.ctx.precision, false);
  try {
    load_weights(deeper, bench.exec, dir / "m.gguf");
    FAIL() << "a layer is missing";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("missing blk.2.attn_norm.weight"), std::string::npos) << e.what();
  }
  config.num_hidden_layers = 2, config.intermediate_size = 8;
  Model narrower(config, bench.ctx.precision, false);
  EXPECT_THROW(load_weights(narrower, bench.exec, dir / "m.gguf"), Error);
}

}  // namespace
}  // namespace hadal
