#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>

#include "base/random.h"
#include "nn/model.h"

namespace hadal {

/// Threads, kernels and memory for one model under test.
struct Bench {
  ThreadPool pool;
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  explicit Bench(Precision precision, int threads = 2, Recompute recompute = {}, Isa isa = chosen_isa())
      : pool(threads),
        exec(pool, precision.compute == DType::kF64 ? Isa::kReference : isa),
        ctx{exec, saved, scratch, precision, recompute} {}
};

inline Precision precision_of(DType dtype) {
  return {.compute = dtype};
}

/// A V3-shaped model with every feature on, small enough for finite differences.
inline ModelConfig tiny_v3() {
  ModelConfig c;
  c.model_type = ModelType::kDeepseekV3;
  c.vocab_size = 23, c.hidden_size = 12, c.intermediate_size = 10, c.num_hidden_layers = 2;
  c.num_attention_heads = c.num_key_value_heads = 2, c.max_position_embeddings = 64;
  c.q_lora_rank = 6, c.kv_lora_rank = 5, c.qk_nope_head_dim = 3, c.qk_rope_head_dim = 4, c.v_head_dim = 5;
  c.n_routed_experts = 4, c.n_shared_experts = 1, c.num_experts_per_tok = 2, c.moe_intermediate_size = 7,
  c.first_k_dense_replace = 1;
  c.scoring_func = "sigmoid", c.topk_method = "noaux_tc", c.norm_topk_prob = true, c.routed_scaling_factor = 2.5;
  c.num_nextn_predict_layers = 1, c.initializer_range = 0.4;
  return c;
}

inline ModelConfig tiny_qwen3() {
  ModelConfig c;
  c.model_type = ModelType::kQwen3;
  c.vocab_size = 19, c.hidden_size = 12, c.intermediate_size = 9, c.num_hidden_layers = 2;
  c.num_attention_heads = 4, c.num_key_value_heads = 2, c.head_dim = 6, c.max_position_embeddings = 64;
  c.attention_bias = true, c.tie_word_embeddings = true, c.initializer_range = 0.4;
  return c;
}

inline ModelConfig tiny_moe_v1() {
  ModelConfig c;
  c.model_type = ModelType::kDeepseek;
  c.vocab_size = 19, c.hidden_size = 12, c.intermediate_size = 9, c.num_hidden_layers = 2;
  c.num_attention_heads = c.num_key_value_heads = 2, c.head_dim = 6, c.max_position_embeddings = 64;
  c.n_routed_experts = 5, c.num_experts_per_tok = 2, c.moe_intermediate_size = 4, c.initializer_range = 0.4;
  return c;
}

/// Two sequences of random tokens, some targets masked.
inline Batch random_batch(const ModelConfig& c, std::vector<index_t> lengths, std::uint64_t seed) {
  Batch b;
  b.sequence_begins.push_back(0);
  for (const index_t length : lengths) {
    for (index_t i = 0; i < length; ++i) {
      const auto place = static_cast<std::uint64_t>(b.ids.size());
      const auto below = [&](std::uint64_t salt) {
        return static_cast<int>(
            random_below(seed + salt, Stream::kTest, place, static_cast<std::uint64_t>(c.vocab_size)));
      };
      b.ids.push_back(below(0));
      b.targets.push_back(i % 5 == 3 ? -1 : below(1));
      b.positions.push_back(static_cast<int>(i));
    }
    b.sequence_begins.push_back(static_cast<index_t>(b.ids.size()));
  }
  b.segment_begins = b.sequence_begins;
  return b;
}

/// Every trainable gradient, by name.
inline std::map<std::string, std::vector<double>> gradients(Model& model) {
  std::map<std::string, std::vector<double>> result;
  model.visit_params([&](const Param& p) {
    if (p.grad.empty()) return;
    std::vector<double>& g = result[p.name];
    for (index_t r = 0; r < p.grad.rows; ++r)
      for (index_t c = 0; c < p.grad.cols; ++c)
        g.push_back(p.grad.dtype == DType::kF64 ? p.grad.as<double>()(r, c) : p.grad.as<float>()(r, c));
  });
  return result;
}

}  // namespace hadal
