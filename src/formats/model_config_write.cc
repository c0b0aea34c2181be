#include "base/json.h"
#include "formats/model_config.h"

namespace hadal {
namespace {

Json rope_scaling_json(const ModelConfig& c) {
  const RopeScaling& rope = c.rope_scaling;
  if (rope.type == "default") return nullptr;
  JsonObject o;
  // DeepSeek's own code reads "type", transformers "rope_type" first and then "type".
  o[c.uses_mla() || rope.type == "linear" ? "type" : "rope_type"] = rope.type;
  o["factor"] = rope.factor;
  if (rope.original_max_position_embeddings > 0)
    o["original_max_position_embeddings"] = rope.original_max_position_embeddings;
  if (rope.type == "llama3") {
    o["low_freq_factor"] = rope.low_freq_factor;
    o["high_freq_factor"] = rope.high_freq_factor;
  }
  if (rope.type == "yarn") {
    o["beta_fast"] = rope.beta_fast;
    o["beta_slow"] = rope.beta_slow;
    if (rope.mscale) o["mscale"] = *rope.mscale;
    if (rope.mscale_all_dim) o["mscale_all_dim"] = *rope.mscale_all_dim;
    if (rope.attn_factor) o["attn_factor"] = *rope.attn_factor;
    if (rope.attention_factor) o["attention_factor"] = *rope.attention_factor;
  }
  return o;
}

void add_attention(JsonObject& o, const ModelConfig& c) {
  o["num_attention_heads"] = c.num_attention_heads;
  o["num_key_value_heads"] = c.num_key_value_heads;
  if (c.model_type != ModelType::kQwen2) o["attention_bias"] = c.attention_bias;
  o["attention_dropout"] = 0.0;
  if (!c.uses_mla()) {
    const bool implied = c.head_dim * c.num_attention_heads == c.hidden_size && c.model_type != ModelType::kQwen3;
    if (!implied) o["head_dim"] = c.head_dim;
    return;
  }
  o["q_lora_rank"] = c.q_lora_rank > 0 ? Json(c.q_lora_rank) : Json(nullptr);
  o["kv_lora_rank"] = c.kv_lora_rank;
  o["qk_nope_head_dim"] = c.qk_nope_head_dim;
  o["qk_rope_head_dim"] = c.qk_rope_head_dim;
  o["v_head_dim"] = c.v_head_dim;
}

void add_experts(JsonObject& o, const ModelConfig& c) {
  const bool mla = c.uses_mla();
  if (!mla && c.model_type != ModelType::kDeepseek) return;
  auto or_null = [](int v) { return v > 0 ? Json(v) : Json(nullptr); };
  o["n_routed_experts"] = or_null(c.n_routed_experts);
  o["n_shared_experts"] = or_null(c.n_shared_experts);
  o["num_experts_per_tok"] = or_null(c.num_experts_per_tok);
  o["moe_intermediate_size"] = or_null(c.moe_intermediate_size);
  o["first_k_dense_replace"] = c.first_k_dense_replace;
  o["moe_layer_freq"] = c.moe_layer_freq;
  o["scoring_func"] = c.scoring_func;
  o["norm_topk_prob"] = c.norm_topk_prob;
  o["aux_loss_alpha"] = c.aux_loss_alpha;
  o["seq_aux"] = c.seq_aux;
  if (!mla) return;
  o["topk_method"] = c.topk_method;
  o["n_group"] = c.n_group;
  o["topk_group"] = c.topk_group;
  o["routed_scaling_factor"] = c.routed_scaling_factor;
  o["ep_size"] = 1;
  if (c.model_type == ModelType::kDeepseekV3) o["num_nextn_predict_layers"] = c.num_nextn_predict_layers;
}

}  // namespace

std::string model_config_json(const ModelConfig& c) {
  JsonObject o;
  const std::string_view type = model_type_name(c.model_type);
  o["architectures"] = JsonArray{Json(architecture_name(c))};
  if (c.scalar_head) {
    o["id2label"] = JsonObject{{"0", "LABEL_0"}};
    o["label2id"] = JsonObject{{"LABEL_0", 0}};
  }
  o["model_type"] = boost::json::string_view(type.data(), type.size());
  o["vocab_size"] = c.vocab_size;
  o["hidden_size"] = c.hidden_size;
  o["intermediate_size"] = c.intermediate_size;
  o["num_hidden_layers"] = c.num_hidden_layers;
  add_attention(o, c);
  add_experts(o, c);
  o["hidden_act"] = "silu";
  o["max_position_embeddings"] = c.max_position_embeddings;
  o["rope_theta"] = c.rope_theta;
  o["rope_scaling"] = rope_scaling_json(c);
  o["rms_norm_eps"] = c.rms_norm_eps;
  o["initializer_range"] = c.initializer_range;
  o["tie_word_embeddings"] = c.tie_word_embeddings;
  if (c.model_type == ModelType::kLlama) o["mlp_bias"] = false;
  if (c.model_type == ModelType::kQwen2 || c.model_type == ModelType::kQwen3) {
    o["use_sliding_window"] = false;
    o["sliding_window"] = nullptr;
  } else {
    o["pretraining_tp"] = 1;
  }
  o["bos_token_id"] = c.bos_token_id >= 0 ? Json(c.bos_token_id) : Json(nullptr);
  if (c.eos_token_ids.size() == 1)
    o["eos_token_id"] = c.eos_token_ids[0];
  else if (c.eos_token_ids.empty())
    o["eos_token_id"] = nullptr;
  else
    o["eos_token_id"] = JsonArray(c.eos_token_ids.begin(), c.eos_token_ids.end());
  if (c.fp8) {
    JsonObject q = {{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"activation_scheme", "dynamic"}};
    q["weight_block_size"] = JsonArray{c.fp8->block_rows, c.fp8->block_cols};
    if (c.fp8->ue8m0_scales) q["scale_fmt"] = "ue8m0";
    o["quantization_config"] = std::move(q);
  }
  o["use_cache"] = true;
  o["torch_dtype"] = c.torch_dtype;
  o["transformers_version"] = "4.51.0";  // the first release with deepseek_v3 and qwen3 built in
  return json_pretty(o);
}

}  // namespace hadal
