#include "formats/model_config.h"

namespace hadal {
namespace {

using Count = std::int64_t;

/// One attention with its norms of latents or heads, without the norm before it.
Count attention_parameters(const ModelConfig& c) {
  const Count hidden = c.hidden_size, heads = c.num_attention_heads;
  if (c.uses_mla()) {
    const Count rank = c.kv_lora_rank, q_rank = c.q_lora_rank, q_width = heads * c.qk_head_dim();
    const Count query = q_rank > 0 ? hidden * q_rank + q_rank + q_rank * q_width : hidden * q_width;
    const Count key_value =
        hidden * (rank + c.qk_rope_head_dim) + rank + rank * heads * (c.qk_nope_head_dim + c.v_head_dim);
    return query + key_value + heads * c.v_head_dim * hidden;
  }
  const Count q_width = heads * c.head_dim, kv_width = Count{c.num_key_value_heads} * c.head_dim;
  const Count biases = (c.attention_bias ? q_width + 2 * kv_width : 0) + (c.o_proj_bias ? hidden : 0);
  const Count head_norms = c.model_type == ModelType::kQwen3 ? 2 * c.head_dim : 0;
  return 2 * hidden * q_width + 2 * hidden * kv_width + biases + head_norms;
}

/// One block: two norms, attention and feed-forward part. `experts`: how many routed experts to count.
Count block_parameters(const ModelConfig& c, bool moe, int experts) {
  const Count hidden = c.hidden_size;
  const Count rest = 2 * hidden + attention_parameters(c);
  if (!moe) return rest + 3 * hidden * c.intermediate_size;
  const Count router = hidden * c.n_routed_experts + (c.topk_method == "noaux_tc" ? c.n_routed_experts : 0);
  return rest + router + 3 * hidden * c.moe_intermediate_size * (Count{experts} + c.n_shared_experts);
}

}  // namespace

ParameterCount count_parameters(const ModelConfig& c) {
  const Count hidden = c.hidden_size;
  const Count head = c.scalar_head ? hidden : c.tie_word_embeddings ? 0 : hidden * c.vocab_size;
  const Count embeddings = hidden * c.vocab_size + head;
  ParameterCount count = {.total = embeddings + hidden, .active = embeddings + hidden};
  for (int layer = 0; layer < c.num_hidden_layers; ++layer) {
    const bool moe = c.is_moe_layer(layer);
    count.total += block_parameters(c, moe, c.n_routed_experts);
    count.active += block_parameters(c, moe, c.num_experts_per_tok);
  }
  // enorm, hnorm, shared_head.norm and eh_proj; embedding and head are the main model's.
  for (int depth = 0; depth < c.num_nextn_predict_layers; ++depth)
    count.mtp += 3 * hidden + 2 * hidden * hidden +
                 block_parameters(c, c.is_moe_layer(c.num_hidden_layers + depth), c.n_routed_experts);
  return count;
}

std::int64_t kv_elements_per_token(const ModelConfig& c) {
  const Count per_layer = c.uses_mla() ? c.kv_lora_rank + c.qk_rope_head_dim : 2 * c.num_key_value_heads * c.head_dim;
  return per_layer * c.num_hidden_layers;
}

double training_flops_per_token(const ModelConfig& c, int sequence_length) {
  const double input_embedding = static_cast<double>(c.vocab_size) * c.hidden_size;
  const double weights =
      static_cast<double>(count_parameters(c).active) - (c.tie_word_embeddings ? 0 : input_embedding);
  const double per_key = c.uses_mla() ? static_cast<double>(c.num_attention_heads) * (c.qk_head_dim() + c.v_head_dim)
                                      : 2.0 * c.num_attention_heads * c.head_dim;
  return 6 * weights + 6 * per_key * c.num_hidden_layers * sequence_length / 2;
}

}  // namespace hadal
