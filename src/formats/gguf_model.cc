#include "formats/gguf_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace hadal {
namespace {

using Layout = GgufPlace::Layout;

std::string_view architecture_of(const ModelConfig& c) {
  switch (c.model_type) {
    case ModelType::kLlama:
      return "llama";
    case ModelType::kQwen2:
      return "qwen2";
    case ModelType::kQwen3:
      return "qwen3";
    case ModelType::kDeepseek:
      return "deepseek";
    default:
      return "deepseek2";
  }
}

/// rope_freqs holds by what each frequency is divided: Llama 3's rule with its own bounds of 1 and 4 turns, any factor
/// and a context of a power of two, or nothing that is known.
RopeScaling llama3_scaling(const GgufFile& file, const ModelConfig& c) {
  const GgufTensor& t = file.tensor("rope_freqs.weight");
  HADAL_CHECK(t.type == GgmlType::kF32 && t.count() == c.head_dim / 2, file.where(), ": rope_freqs.weight has ",
              t.count(), " values, want ", c.head_dim / 2, " in F32");
  const std::span divisors(reinterpret_cast<const float*>(t.data), static_cast<std::size_t>(c.head_dim) / 2);
  ModelConfig guess = c;
  RopeScaling& s = guess.rope_scaling;
  s.type = "llama3", s.factor = std::max(1.0, std::round(static_cast<double>(std::ranges::max(divisors))));
  for (int context = 16; context <= 1 << 20; context *= 2) {
    s.original_max_position_embeddings = context;
    const std::vector<float> want = rope_divisors(guess);
    bool fits = true;
    for (std::size_t i = 0; i < want.size(); ++i) fits &= std::abs(divisors[i] - want[i]) < 1e-3F * want[i];
    if (fits) return s;
  }
  fail(file.where(), ": rope_freqs.weight holds factors of an unknown rule");
}

/// YaRN's gain on cos and sin, as a factor on what readers of GGUF take from the scaling factor alone.
double attn_factor_of(const RopeScaling& s) {
  if (!s.attention_factor) return s.attn_factor.value_or(1);
  return *s.attention_factor / (s.factor <= 1 ? 1 : 0.1 * std::log(s.factor) + 1);
}

void read_rope(const GgufFile& file, const std::string& prefix, ModelConfig& c) {
  c.rope_theta = file.get_or<double>(prefix + "rope.freq_base", 10000.0);
  const std::string type = file.get_or<std::string>(prefix + "rope.scaling.type", "none");
  if (type == "yarn" || type == "linear") {
    c.rope_scaling.type = type;
    c.rope_scaling.factor = file.get<double>(prefix + "rope.scaling.factor");
    c.rope_scaling.original_max_position_embeddings =
        file.get_or<int>(prefix + "rope.scaling.original_context_length", 0);
    if (c.uses_mla())
      c.rope_scaling.mscale = c.rope_scaling.mscale_all_dim =
          10 * file.get_or<double>(prefix + "rope.scaling.yarn_log_multiplier", 0.0);
    if (type == "yarn") {
      c.rope_scaling.beta_fast = file.get_or<double>(prefix + "rope.scaling.yarn_beta_fast", 32.0);
      c.rope_scaling.beta_slow = file.get_or<double>(prefix + "rope.scaling.yarn_beta_slow", 1.0);
      const double gain = file.get_or<double>(prefix + "rope.scaling.attn_factor", 1.0);
      HADAL_CHECK(gain == 1 || !c.uses_mla(), file.where(), ": ", prefix, "rope.scaling.attn_factor is ", gain,
                  ", want 1 with latent attention");
      if (gain != 1) c.rope_scaling.attn_factor = gain;
    }
  } else {
    HADAL_CHECK(type == "none", file.where(), ": ", prefix, "rope.scaling.type is \"", type,
                "\", want none, linear or yarn");
  }
  if (file.find_tensor("rope_freqs.weight") != nullptr) c.rope_scaling = llama3_scaling(file, c);
}

void read_latent(const GgufFile& file, const std::string& prefix, ModelConfig& c) {
  c.q_lora_rank = file.get_or<int>(prefix + "attention.q_lora_rank", 0);
  c.kv_lora_rank = file.get<int>(prefix + "attention.kv_lora_rank");
  c.qk_rope_head_dim = file.get<int>(prefix + "rope.dimension_count");
  // Newer files describe the cache in key_length and value_length, and the heads in *_mla.
  const int key = file.get_or<int>(prefix + "attention.key_length_mla", file.get<int>(prefix + "attention.key_length"));
  c.v_head_dim =
      file.get_or<int>(prefix + "attention.value_length_mla", file.get<int>(prefix + "attention.value_length"));
  c.qk_nope_head_dim = key - c.qk_rope_head_dim;
  c.num_key_value_heads = c.num_attention_heads;
  c.head_dim = 0;
}

void read_experts(const GgufFile& file, const std::string& prefix, ModelConfig& c) {
  c.n_routed_experts = file.get_or<int>(prefix + "expert_count", 0);
  if (c.n_routed_experts == 0) return;
  c.num_experts_per_tok = file.get<int>(prefix + "expert_used_count");
  c.n_shared_experts = file.get_or<int>(prefix + "expert_shared_count", 0);
  c.moe_intermediate_size = file.get<int>(prefix + "expert_feed_forward_length");
  c.first_k_dense_replace = file.get_or<int>(prefix + "leading_dense_block_count", 0);
  const double scale = file.get_or<double>(prefix + "expert_weights_scale", 0.0);
  c.routed_scaling_factor = scale > 0 ? scale : 1;
  if (c.model_type == ModelType::kDeepseek) return;
  const bool v3 = c.model_type == ModelType::kDeepseekV3;
  c.scoring_func = file.get_or<int>(prefix + "expert_gating_func", v3 ? 2 : 1) == 2 ? "sigmoid" : "softmax";
  c.norm_topk_prob = file.get_or<bool>(prefix + "expert_weights_norm", v3);
  const bool known = v3 && c.n_routed_experts == 256;
  c.n_group = file.get_or<int>(prefix + "expert_group_count", known ? 8 : 1);
  c.topk_group = file.get_or<int>(prefix + "expert_group_used_count", known ? 4 : 1);
  c.topk_method = v3 ? "noaux_tc" : c.n_group > 1 ? "group_limited_greedy" : "greedy";
}

/// Ours and GGUF's names of what stands in a layer; "" for layers without it.
struct Name {
  std::string_view ours, theirs;
};
constexpr std::array kLayerNames = {
    Name{"input_layernorm", "attn_norm"},
    Name{"post_attention_layernorm", "ffn_norm"},
    Name{"self_attn.q_proj", "attn_q"},
    Name{"self_attn.k_proj", "attn_k"},
    Name{"self_attn.v_proj", "attn_v"},
    Name{"self_attn.o_proj", "attn_output"},
    Name{"self_attn.q_norm", "attn_q_norm"},
    Name{"self_attn.k_norm", "attn_k_norm"},
    Name{"self_attn.q_a_proj", "attn_q_a"},
    Name{"self_attn.q_a_layernorm", "attn_q_a_norm"},
    Name{"self_attn.q_b_proj", "attn_q_b"},
    Name{"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    Name{"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    Name{"self_attn.kv_b_proj", "attn_kv_b"},
    Name{"mlp.gate_proj", "ffn_gate"},
    Name{"mlp.up_proj", "ffn_up"},
    Name{"mlp.down_proj", "ffn_down"},
    Name{"mlp.gate", "ffn_gate_inp"},
    Name{"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
    Name{"mlp.shared_experts.up_proj", "ffn_up_shexp"},
    Name{"mlp.shared_experts.down_proj", "ffn_down_shexp"},
};

int number_at(std::string_view text, std::size_t& at) {
  int n = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') n = n * 10 + (text[at++] - '0');
  return n;
}

}  // namespace

std::vector<float> rope_divisors(const ModelConfig& c) {
  const RopeScaling& s = c.rope_scaling;
  if (s.type != "llama3") return {};
  HADAL_CHECK(c.model_type == ModelType::kLlama, "gguf: rope_scaling llama3 belongs to architecture llama, not ",
              architecture_of(c));
  const double context =
      s.original_max_position_embeddings > 0 ? s.original_max_position_embeddings : c.max_position_embeddings;
  std::vector<float> divisors;
  for (int i = 0; i < c.head_dim / 2; ++i) {
    const double turns = context * std::pow(c.rope_theta, -2.0 * i / c.head_dim) / (2 * std::numbers::pi);
    const double keep = std::clamp((turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor), 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / (keep + (1 - keep) / s.factor)));
  }
  return divisors;
}

ModelConfig gguf_model_config(const GgufFile& file) {
  const std::string architecture = file.get<std::string>("general.architecture"), prefix = architecture + ".";
  ModelConfig c;
  if (architecture == "llama") {
    c.model_type = ModelType::kLlama;
  } else if (architecture == "qwen2") {
    c.model_type = ModelType::kQwen2, c.attention_bias = true;
  } else if (architecture == "qwen3") {
    c.model_type = ModelType::kQwen3;
  } else if (architecture == "deepseek") {
    c.model_type = ModelType::kDeepseek;
  } else if (architecture == "deepseek2") {
    bool biased = file.get_or<int>(prefix + "expert_gating_func", 1) == 2;
    for (const GgufTensor& t : file.tensors()) biased |= t.name.ends_with("exp_probs_b.bias");
    c.model_type = biased ? ModelType::kDeepseekV3 : ModelType::kDeepseekV2;
  } else {
    fail(file.where(), ": architecture \"", architecture, "\", want llama, qwen2, qwen3, deepseek or deepseek2");
  }
  const GgufTensor& embedding = file.tensor("token_embd.weight");
  HADAL_CHECK(embedding.dims.size() == 2, file.where(), ": token_embd.weight has ", embedding.dims.size(),
              " dimensions, want 2");
  c.vocab_size = narrow<int>(embedding.dims[1]);
  c.hidden_size = file.get<int>(prefix + "embedding_length");
  c.intermediate_size = file.get<int>(prefix + "feed_forward_length");
  c.num_hidden_layers = file.get<int>(prefix + "block_count") - file.get_or<int>(prefix + "nextn_predict_layers", 0);
  c.num_attention_heads = file.get<int>(prefix + "attention.head_count");
  c.num_key_value_heads = file.get_or<int>(prefix + "attention.head_count_kv", c.num_attention_heads);
  HADAL_CHECK(c.num_attention_heads > 0 && c.hidden_size > 0 && c.num_hidden_layers > 0, file.where(), ": ",
              c.num_hidden_layers, " layers of width ", c.hidden_size, " with ", c.num_attention_heads, " heads");
  c.head_dim = file.get_or<int>(prefix + "attention.key_length", c.hidden_size / c.num_attention_heads);
  c.max_position_embeddings = file.get<int>(prefix + "context_length");
  c.rms_norm_eps = file.get<double>(prefix + "attention.layer_norm_rms_epsilon");
  c.tie_word_embeddings = file.find_tensor("output.weight") == nullptr;
  if (architecture == "deepseek2") read_latent(file, prefix, c);
  read_rope(file, prefix, c);
  read_experts(file, prefix, c);
  c.bos_token_id = file.get_or<int>("tokenizer.ggml.bos_token_id", -1);
  if (const auto eos = file.find<int>("tokenizer.ggml.eos_token_id")) c.eos_token_ids = {*eos};
  if (const auto eot = file.find<int>("tokenizer.ggml.eot_token_id"))
    if (c.eos_token_ids.empty() || *eot != c.eos_token_ids[0]) c.eos_token_ids.push_back(*eot);
  // The rules of config.json hold here too.
  return parse_model_config(model_config_json(c), file.where());
}

GgufPlace gguf_place(const ModelConfig& c, std::string_view name) {
  if (name == "model.embed_tokens.weight") return {"token_embd.weight"};
  if (name == "model.norm.weight") return {"output_norm.weight"};
  if (name == "lm_head.weight") return {"output.weight"};
  constexpr std::string_view kLayers = "model.layers.", kExperts = "mlp.experts.";
  HADAL_CHECK(name.starts_with(kLayers), "gguf: no place for ", name);
  std::size_t at = kLayers.size();
  const int layer = number_at(name, at);
  HADAL_CHECK(layer < c.num_hidden_layers, "gguf: no place for ", name, " of an MTP module");
  std::string_view part = name.substr(at + 1);
  const std::string block = str_cat("blk.", layer, ".");
  if (part == "mlp.gate.e_score_correction_bias") return {block + "exp_probs_b.bias"};
  if (part.starts_with(kExperts)) {
    at = kExperts.size();
    const int expert = number_at(part, at);
    const std::string_view which = part.substr(at + 1, part.find('_', at) - at - 1);  // gate, up, down
    return {str_cat(block, "ffn_", which, "_exps.weight"), expert};
  }
  const std::size_t dot = part.rfind('.');
  const std::string_view stem = part.substr(0, dot), kind = part.substr(dot);
  for (const Name& n : kLayerNames) {
    if (n.ours != stem) continue;
    GgufPlace place{str_cat(block, n.theirs, kind)};
    const bool rotated = stem == "self_attn.q_proj" || stem == "self_attn.k_proj";
    if (rotated && (c.model_type == ModelType::kLlama || c.model_type == ModelType::kDeepseek)) {
      place.layout = Layout::kInterleaved;
      place.heads = stem == "self_attn.q_proj" ? c.num_attention_heads : c.num_key_value_heads;
    }
    if (stem == "self_attn.kv_b_proj") place.layout = Layout::kKvB;
    return place;
  }
  fail("gguf: no place for ", name);
}

GgufPairs gguf_metadata(const ModelConfig& c, GgufMla mla) {
  const std::string architecture(architecture_of(c)), prefix = architecture + ".";
  GgufPairs pairs;
  const auto text = [&](const std::string& key, std::string v) { pairs.emplace_back(key, GgufValue(std::move(v))); };
  const auto whole = [&](const std::string& key, int v) {
    pairs.emplace_back(key, GgufValue(static_cast<std::uint32_t>(v)));
  };
  const auto real = [&](const std::string& key, double v) {
    pairs.emplace_back(key, GgufValue(static_cast<float>(v)));
  };
  text("general.architecture", architecture);
  whole(prefix + "block_count", c.num_hidden_layers);
  whole(prefix + "context_length", c.max_position_embeddings);
  whole(prefix + "embedding_length", c.hidden_size);
  whole(prefix + "feed_forward_length", c.intermediate_size);
  whole(prefix + "attention.head_count", c.num_attention_heads);
  whole(prefix + "vocab_size", c.vocab_size);
  real(prefix + "attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  real(prefix + "rope.freq_base", c.rope_theta);
  if (c.uses_mla()) {
    const bool split = mla == GgufMla::kSplit;
    whole(prefix + "attention.head_count_kv", split ? 1 : c.num_attention_heads);
    if (c.q_lora_rank > 0) whole(prefix + "attention.q_lora_rank", c.q_lora_rank);
    whole(prefix + "attention.kv_lora_rank", c.kv_lora_rank);
    whole(prefix + "attention.key_length", split ? c.kv_lora_rank + c.qk_rope_head_dim : c.qk_head_dim());
    whole(prefix + "attention.value_length", split ? c.kv_lora_rank : c.v_head_dim);
    if (split) {
      whole(prefix + "attention.key_length_mla", c.qk_head_dim());
      whole(prefix + "attention.value_length_mla", c.v_head_dim);
    }
    whole(prefix + "rope.dimension_count", c.qk_rope_head_dim);
  } else {
    whole(prefix + "attention.head_count_kv", c.num_key_value_heads);
    whole(prefix + "attention.key_length", c.head_dim);
    whole(prefix + "attention.value_length", c.head_dim);
    whole(prefix + "rope.dimension_count", c.head_dim);
  }
  const RopeScaling& s = c.rope_scaling;
  if (s.type == "yarn" || s.type == "linear") {
    text(prefix + "rope.scaling.type", s.type);
    real(prefix + "rope.scaling.factor", s.factor);
    whole(prefix + "rope.scaling.original_context_length", s.original_max_position_embeddings);
    if (s.type == "yarn") {
      // Readers take the gain on cos and sin of latent attention to be 1, which it is when both coefficients are equal.
      HADAL_CHECK(!c.uses_mla() || s.mscale.value_or(1) == s.mscale_all_dim.value_or(0), "gguf: rope_scaling.mscale ",
                  s.mscale.value_or(1), " differs from mscale_all_dim ", s.mscale_all_dim.value_or(0),
                  ", which GGUF has no key for");
      if (c.uses_mla()) real(prefix + "rope.scaling.yarn_log_multiplier", s.mscale_all_dim.value_or(0) / 10);
      if (s.beta_fast != 32) real(prefix + "rope.scaling.yarn_beta_fast", s.beta_fast);
      if (s.beta_slow != 1) real(prefix + "rope.scaling.yarn_beta_slow", s.beta_slow);
      if (const double gain = attn_factor_of(s); gain != 1) real(prefix + "rope.scaling.attn_factor", gain);
    }
  }
  if (c.n_routed_experts > 0) {
    whole(prefix + "expert_count", c.n_routed_experts);
    whole(prefix + "expert_used_count", c.num_experts_per_tok);
    whole(prefix + "expert_shared_count", c.n_shared_experts);
    whole(prefix + "expert_feed_forward_length", c.moe_intermediate_size);
    whole(prefix + "leading_dense_block_count", c.first_k_dense_replace);
    real(prefix + "expert_weights_scale", c.routed_scaling_factor);
    if (c.model_type != ModelType::kDeepseek) {
      whole(prefix + "expert_gating_func", c.scoring_func == "sigmoid" ? 2 : 1);
      pairs.emplace_back(prefix + "expert_weights_norm", GgufValue(c.norm_topk_prob));
      whole(prefix + "expert_group_count", c.n_group);
      whole(prefix + "expert_group_used_count", c.topk_group);
    }
  }
  return pairs;
}

}  // namespace hadal
