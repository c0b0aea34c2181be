#include "infer/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "infer/loaded_model.h"
#include "nn/weights.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr char kConfig[] =
    R"({"model_type": "deepseek_v3", "vocab_size": 61, "hidden_size": 24, "intermediate_size": 20,
        "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "q_lora_rank": 12, "kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 6,
        "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 12,
        "first_k_dense_replace": 1, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "norm_topk_prob": true,
        "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0, "initializer_range": 0.5, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "tie_word_embeddings": false, "bos_token_id": 0, "eos_token_id": 60,
        "num_nextn_predict_layers": 0, "hidden_act": "silu", "torch_dtype": "float32"})";

MemoryInfo memory_of(std::int64_t available) {
  return {.total = available, .available = available};
}

struct Planner {
  ThreadPool pool{1};
  Exec exec{pool};
  ModelConfig config = parse_model_config(kConfig, "test");
  MemoryPlan plan(const LoadOptions& load, const EngineOptions& engine = {}, std::int64_t available = 1 << 30) {
    Model model(config, inference_precision(load.weights, config), false);
    return plan_memory(model, exec, load, engine, memory_of(available));
  }
};

TEST(MemoryPlan, CountsEveryWeight) {
  Planner planner;
  const MemoryPlan plan = planner.plan({.weights = "f32"});
  // Packing adds columns up to whole vectors, and the latent halves of kv_b_proj. The embedding stays in the model's
  // file unless a cache of packed weights holds it.
  const std::int64_t all = 4 * count_parameters(planner.config).total,
                     embedding = std::int64_t{4} * planner.config.vocab_size * planner.config.hidden_size;
  EXPECT_GT(plan.weight_bytes(), all - embedding);
  EXPECT_EQ(planner.plan({.weights = "f32", .weights_cache = "somewhere"}).weight_bytes(),
            plan.weight_bytes() + embedding);
  EXPECT_EQ(plan.resident_weight_bytes(), plan.weight_bytes());
  EXPECT_EQ(plan.num_experts, 16);
  EXPECT_EQ(plan.cache_tokens % 96, 0);
  EXPECT_GT(planner.plan({.weights = "bf16"}).weight_bytes(), planner.plan({.weights = "int4"}).weight_bytes() / 2);
  EXPECT_THAT(plan.table(), HasSubstr("routed experts"));
}

TEST(MemoryPlan, KnowsFormsByClassAndCodes) {
  Planner planner;
  const auto form = [](const MemoryPlan& plan, const std::string& what) {
    for (const MemoryPlan::Weights& w : plan.weights)
      if (w.what == what) return w.form;
    return std::string();
  };
  const MemoryPlan mixed = planner.plan({.weights = "int8,experts=int4,head=bf16"});
  EXPECT_EQ(form(mixed, "routed experts"), "i4");
  EXPECT_EQ(form(mixed, "attention"), "i8");
  EXPECT_EQ(form(mixed, "output head"), "bf16");
  EXPECT_EQ(form(planner.plan({.weights = "as-stored"}), "attention"), "bf16");
  planner.config.fp8 = Fp8Config{};
  const MemoryPlan stored = planner.plan({.weights = "as-stored"});
  EXPECT_EQ(form(stored, "attention"), "e4m3");
  EXPECT_EQ(form(stored, "routed experts"), "e4m3");
  EXPECT_EQ(form(stored, "output head"), "bf16");
  // Rows of the embedding come from the model's file, unless a cache of packed weights holds them.
  EXPECT_EQ(form(stored, "embedding"), "");
  EXPECT_EQ(form(planner.plan({.weights = "as-stored", .weights_cache = "somewhere"}), "embedding"), "bf16");
}

TEST(MemoryPlan, CountsTheCodedCache) {
  Planner planner;
  planner.config.kv_lora_rank = 512;  // with a scale for each 128 values
  const MemoryPlan plain = planner.plan({}, {.cache_tokens = 960}),
                   coded = planner.plan({}, {.cache_tokens = 960, .cache = "fp8"});
  EXPECT_LT(coded.cache_bytes, plain.cache_bytes * 2 / 3);
}

TEST(MemoryPlan, TheCacheTakesWhatIsLeft) {
  Planner planner;
  const MemoryPlan all = planner.plan({});
  const MemoryPlan less = planner.plan({}, {}, all.resident_bytes() - all.cache_bytes / 2);
  less.check();
  EXPECT_LT(less.cache_tokens, all.cache_tokens);
  EXPECT_EQ(planner.plan({}, {.cache_tokens = 960}).cache_tokens, 960);
}

TEST(MemoryPlan, RefusesWhatDoesNotFit) {
  Planner planner;
  EXPECT_THAT(error_of([&] { planner.plan({}, {}, 10000).check(); }), HasSubstr("--weights-memory"));
  EXPECT_THAT(error_of([&] { planner.plan({}, {.cache_tokens = 96000000}).check(); }), HasSubstr("cache of 96000000"));
  EXPECT_THAT(error_of([&] { planner.plan({.weights_cache = "c", .weights_memory = "5000"}); }),
              HasSubstr("want at least"));
  EXPECT_THAT(error_of([&] { planner.plan({.weights_memory = "1G"}); }), HasSubstr("--weights-cache"));
  planner.config.n_routed_experts = 0;
  EXPECT_THAT(error_of([&] { planner.plan({.weights_cache = "c", .weights_memory = "1G"}); }),
              HasSubstr("no routed experts"));
}

/// A model folder, and a cache folder beside it.
class Streaming : public testing::Test {
 protected:
  void SetUp() override {
    const ModelConfig config = parse_model_config(kConfig, "test");
    Model model(config, Precision::parse("f32"), false);
    model.init(3);
    save_model(model, dir_ / "model", DType::kF32);
  }
  LoadOptions load(const std::string& memory = "") {
    return {.model = (dir_ / "model").string(),
            .weights = "bf16",
            .weights_cache = memory.empty() ? "" : (dir_ / "cache").string(),
            .weights_memory = memory,
            .threads = 2};
  }
  /// Two requests at once: tokens, or errors.
  static std::vector<std::string> answers(Engine& engine) {
    std::vector<std::string> texts(2);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      Request r;
      for (int t = 0; t < 40; ++t) r.prompt.push_back((t * 7 + static_cast<int>(i)) % 60);
      r.sampling.temperature = 0;
      r.stop.max_tokens = 12, r.stop.ignore_eos = true;
      r.sink = [&texts, i](const TokenEvent& e) {
        if (e.token >= 0) texts[i] += str_cat(e.token, ":", e.logprob.logprob, " ");
        texts[i] += e.error;
      };
      r.logprobs = 0;
      engine.submit(std::move(r));
    }
    while (engine.step()) {
    }
    return texts;
  }
  TempDir dir_;
};

TEST_F(Streaming, AnswersWithTwoFifthsOfTheModel) {
  LoadedModel whole(load(), {.prefill_chunk = 16});
  Engine resident(whole.ctx, whole.model, nullptr, whole.engine);
  const std::vector<std::string> want = answers(resident);

  Planner planner;
  const MemoryPlan plan = planner.plan({.weights_cache = "c", .weights_memory = "1G"});
  const index_t cap = plan.least_bytes + 4 * plan.expert_bytes;
  LoadedModel part(load(std::to_string(cap)), {.prefill_chunk = 16});
  ASSERT_NE(part.experts(), nullptr);
  EXPECT_EQ(part.experts()->num_places(), 6);
  EXPECT_EQ(plan.num_experts, 16);
  Engine engine(part.ctx, part.model, nullptr, part.engine);
  EXPECT_EQ(answers(engine), want);
  const ExpertStats stats = part.experts()->stats();
  EXPECT_GT(stats.misses, 0);
  EXPECT_GT(stats.hit_rate(), 0);

  // The file is gone: requests fail, the engine goes on, and so do they when it is back.
  fs::path file;
  for (const auto& entry : fs::directory_iterator(dir_ / "cache")) file = entry.path();
  const std::string bytes = read_file(file);
  fs::resize_file(file, 4096);
  for (const std::string& text : answers(engine)) EXPECT_THAT(text, HasSubstr("cut short"));
  std::ofstream(file, std::ios::binary | std::ios::in) << bytes;
  EXPECT_EQ(answers(engine), want);
}

}  // namespace
}  // namespace hadal
