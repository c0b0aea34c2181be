#pragma once
// Configs of models that a test runs in no time.
#include "formats/model_config.h"

namespace hadal {

/// The shape of V3 with its gates, but for MTP; widths, vocabulary and lengths are the caller's.
inline ModelConfig v3_shape() {
  ModelConfig c;
  c.model_type = ModelType::kDeepseekV3;
  c.num_hidden_layers = 2, c.num_attention_heads = c.num_key_value_heads = 2;
  c.n_routed_experts = 4, c.n_shared_experts = 1, c.num_experts_per_tok = 2, c.first_k_dense_replace = 1;
  c.scoring_func = "sigmoid", c.topk_method = "noaux_tc", c.norm_topk_prob = true;
  return c;
}

inline ModelConfig small_v3() {
  ModelConfig c = v3_shape();
  c.vocab_size = 61, c.hidden_size = 24, c.intermediate_size = 20, c.max_position_embeddings = 512;
  c.q_lora_rank = 12, c.kv_lora_rank = 10, c.qk_nope_head_dim = 6, c.qk_rope_head_dim = 4, c.v_head_dim = 6;
  c.moe_intermediate_size = 12, c.initializer_range = 0.5, c.eos_token_ids = {60};
  return c;
}

inline ModelConfig small_qwen3() {
  ModelConfig c;
  c.model_type = ModelType::kQwen3;
  c.vocab_size = 61, c.hidden_size = 24, c.intermediate_size = 20, c.num_hidden_layers = 2;
  c.num_attention_heads = 4, c.num_key_value_heads = 2, c.head_dim = 8, c.max_position_embeddings = 512;
  c.tie_word_embeddings = true, c.initializer_range = 0.5, c.eos_token_ids = {60};
  return c;
}

}  // namespace hadal
