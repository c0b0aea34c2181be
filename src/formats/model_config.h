#pragma once
// What a model is: the fields of a Hugging Face config.json, under their own names.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hadal {

/// config.json "model_type": which modelling rules of Hugging Face hold.
enum class ModelType : std::uint8_t { kLlama, kQwen2, kQwen3, kDeepseek, kDeepseekV2, kDeepseekV3 };

/// "rope_scaling" (classic) or "rope_parameters" (transformers 5). type: default, linear, llama3, yarn.
struct RopeScaling {
  std::string type = "default";
  double factor = 1;
  int original_max_position_embeddings = 0;  // 0: max_position_embeddings
  double beta_fast = 32, beta_slow = 1;      // yarn
  std::optional<double> mscale, mscale_all_dim, attn_factor, attention_factor;
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
};

/// "quantization_config" of block-FP8 checkpoints.
struct Fp8Config {
  int block_rows = 128, block_cols = 128;
  bool ue8m0_scales = false;  // "scale_fmt": "ue8m0"
};

/// Zero or empty where the family has no such thing.
struct ModelConfig {
  ModelType model_type = ModelType::kDeepseekV3;
  int vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  int num_attention_heads = 0, num_key_value_heads = 0;
  int head_dim = 0;  // filled in when the file leaves it out; 0 with latent attention
  int max_position_embeddings = 0;
  double rms_norm_eps = 1e-6, rope_theta = 10000, initializer_range = 0.02;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool attention_bias = false;  // q, k, v biases; true for qwen2
  bool o_proj_bias = false;     // llama's attention_bias covers o_proj too
  // Multi-head latent attention (deepseek_v2, deepseek_v3). q_lora_rank 0: no query compression.
  int q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  // Mixture of experts. n_routed_experts 0: dense model.
  int n_routed_experts = 0, n_shared_experts = 0, num_experts_per_tok = 0, moe_intermediate_size = 0;
  int first_k_dense_replace = 0, moe_layer_freq = 1, n_group = 1, topk_group = 1;
  std::string scoring_func = "softmax";  // softmax | sigmoid
  std::string topk_method = "greedy";    // greedy | group_limited_greedy | noaux_tc
  bool norm_topk_prob = false;
  double routed_scaling_factor = 1, aux_loss_alpha = 0;
  bool seq_aux = true;
  int num_nextn_predict_layers = 0;  // multi-token prediction depth
  int bos_token_id = -1;             // -1: none
  std::vector<int> eos_token_ids;
  std::string torch_dtype = "bfloat16";
  std::optional<Fp8Config> fp8;
  bool scalar_head = false;  // "...ForSequenceClassification" with one label: score.weight [1, D] instead of lm_head

  bool uses_mla() const { return kv_lora_rank > 0; }
  int qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  /// Layers from num_hidden_layers on are MTP layers; they are MoE layers when the model has experts.
  bool is_moe_layer(int layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace &&
           (layer >= num_hidden_layers || layer % moe_layer_freq == 0);
  }
};

/// "deepseek_v3" ...
std::string_view model_type_name(ModelType type);
/// The only entry of config.json's "architectures": "DeepseekV3ForCausalLM", "LlamaForSequenceClassification" ...
std::string architecture_name(const ModelConfig& config);

/// Parses and checks a config.json text. Every key must be known: used, or known to have no effect with the value it
/// has (attention_dropout 0, hidden_act "silu", ...). Throws Error: file, key, got, wanted. `where` names the source.
ModelConfig parse_model_config(std::string_view json_text, std::string_view where);
/// `path`: a config.json, a folder that holds one, or a GGUF file.
ModelConfig load_model_config(const std::filesystem::path& path);
/// config.json text with the keys that transformers 4.x writes for this family.
std::string model_config_json(const ModelConfig& config);

/// Parameters by the tensors that the config asks for. `active` counts what one token uses (routed experts:
/// num_experts_per_tok of them); embeddings and head included. MTP layers apart.
struct ParameterCount {
  std::int64_t total = 0, active = 0, mtp = 0;
};
ParameterCount count_parameters(const ModelConfig& config);
/// Floating-point operations of training on one token: 2 for each multiply-add of the forward pass, twice that for the
/// backward pass; causal attention over a sequence counts half. MTP layers left out.
double training_flops_per_token(const ModelConfig& config, int sequence_length);
/// Cached values of one token over all layers: (kv_lora_rank + rope) or 2 * kv heads * head_dim, each.
std::int64_t kv_elements_per_token(const ModelConfig& config);

}  // namespace hadal
