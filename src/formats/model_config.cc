#include "formats/model_config.h"

#include "formats/gguf_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace hadal {
namespace {

struct TypeInfo {
  ModelType type;
  std::string_view name, class_prefix;
};
constexpr std::array kTypes = {
    TypeInfo{ModelType::kLlama, "llama", "Llama"},
    TypeInfo{ModelType::kQwen2, "qwen2", "Qwen2"},
    TypeInfo{ModelType::kQwen3, "qwen3", "Qwen3"},
    TypeInfo{ModelType::kDeepseek, "deepseek", "Deepseek"},
    TypeInfo{ModelType::kDeepseekV2, "deepseek_v2", "DeepseekV2"},
    TypeInfo{ModelType::kDeepseekV3, "deepseek_v3", "DeepseekV3"},
};

// No product of sizes that any module forms reaches 2^63 bytes under these limits, each far beyond every known model.
constexpr int kMaxVocab = 1 << 24, kMaxHidden = 1 << 16, kMaxIntermediate = 1 << 18, kMaxLayers = 1 << 10;
constexpr int kMaxHeads = 1 << 12, kMaxHeadDim = 1 << 12, kMaxRank = 1 << 16, kMaxExperts = 1 << 12, kMaxMtp = 64;
constexpr int kMaxPositions = 1 << 30;

/// A number in [low, high]; `fallback` when the key is absent.
double real(ObjectReader& r, std::string_view key, double fallback, double low, double high) {
  const double v = r.get_or<double>(key, fallback);
  if (!(v >= low && v <= high)) r.reject(key, str_cat("a number in [", low, ", ", high, "]"));
  return v;
}

int size(ObjectReader& r, std::string_view key, int high, int low = 1) {
  return static_cast<int>(r.get_integer(key, low, high));
}
int size_or(ObjectReader& r, std::string_view key, int fallback, int high, int low = 1) {
  return r.has(key) ? size(r, key, high, low) : (r.skip(key), fallback);
}

std::string one_of(ObjectReader& r, std::string_view key, std::string_view fallback,
                   std::initializer_list<std::string_view> allowed) {
  std::string v = r.get_or<std::string>(key, std::string(fallback));
  if (std::find(allowed.begin(), allowed.end(), v) != allowed.end()) return v;
  std::string wanted;
  for (const std::string_view a : allowed) wanted += str_cat(wanted.empty() ? "\"" : "|\"", a, "\"");
  r.reject(key, wanted);
}

/// A key that changes the model unless it has this value.
template <class T>
void neutral(ObjectReader& r, std::string_view key, const T& value) {
  if (const std::optional<T> v = r.find<T>(key); v && *v != value) r.reject(key, json_line(Json(value)));
}

void check_token_id(const ModelConfig& c, ObjectReader& r, std::string_view key, int id) {
  if (id < 0 || id >= c.vocab_size) r.reject(key, str_cat("ids in [0, vocab_size=", c.vocab_size, ")"));
}

void read_tokens(ModelConfig& c, ObjectReader& r) {
  if (const auto bos = r.find<int>("bos_token_id")) check_token_id(c, r, "bos_token_id", c.bos_token_id = *bos);
  if (const Json* eos = r.find_value("eos_token_id")) {
    c.eos_token_ids =
        eos->is_array() ? r.get<std::vector<int>>("eos_token_id") : std::vector{r.get<int>("eos_token_id")};
    for (const int id : c.eos_token_ids) check_token_id(c, r, "eos_token_id", id);
  }
  r.find<int>("pad_token_id");  // batches are packed or masked by length, never padded with a token
}

/// "architectures" and the labels of a scalar head.
void read_head(ModelConfig& c, ObjectReader& r) {
  if (const Json* names = r.find_value("architectures")) {
    const auto is = [&](const std::string& name) { return *names == Json(JsonArray{Json(name)}); };
    const std::string language_model = architecture_name(c);
    c.scalar_head = true;
    const std::string classifier = architecture_name(c);
    c.scalar_head = is(classifier);
    if (!c.scalar_head && !is(language_model))
      r.reject("architectures", str_cat("[\"", language_model, "\"] or [\"", classifier, "\"]"));
  }
  if (!c.scalar_head) return;
  if (r.has("id2label")) {
    const Json* labels = r.find_value("id2label");
    if (!labels->is_object() || labels->as_object().size() != 1) r.reject("id2label", "one label");
  } else if (r.get_or<int>("num_labels", 0) != 1) {
    r.reject("num_labels", "1 (or id2label with one label)");
  }
  r.skip("num_labels"), r.skip("label2id");
}

/// Keys that a file of Hugging Face may hold without an effect on the network; some only with one value.
void read_neutral_keys(const ModelConfig& c, ObjectReader& r) {
  for (const std::string_view key :
       {"auto_map", "transformers_version", "use_cache", "_name_or_path", "_attn_implementation", "max_window_layers",
        "ep_size", "attn_implementation", "unsloth_version"})
    r.skip(key);
  neutral<double>(r, "attention_dropout", 0);
  neutral<std::string>(r, "hidden_act", "silu");
  neutral<int>(r, "pretraining_tp", 1);
  neutral<bool>(r, "mlp_bias", false);
  neutral<bool>(r, "use_mrope", false);
  neutral<bool>(r, "is_decoder", false);
  neutral<bool>(r, "rope_interleave", true);  // of the MLA families; false would be another order of the rope channels
  // Qwen's files name a window that is used only when the second key says so.
  const bool qwen = c.model_type == ModelType::kQwen2 || c.model_type == ModelType::kQwen3;
  if (qwen) neutral<bool>(r, "use_sliding_window", false);
  if (!qwen && r.has("sliding_window")) r.reject("sliding_window", "null");
  r.skip("sliding_window");
  if (const auto types = r.find<std::vector<std::string>>("layer_types"))
    for (const std::string& type : *types)
      if (type != "full_attention") r.reject("layer_types", "\"full_attention\" for each layer");
}

void read_rope(ModelConfig& c, ObjectReader& r) {
  constexpr double kMaxTheta = 1e12, kMaxFactor = 1e6;
  c.rope_theta = real(r, "rope_theta", c.rope_theta, 1, kMaxTheta);
  const bool classic = r.has("rope_scaling"), modern = r.has("rope_parameters");
  if (classic && modern) r.reject("rope_parameters", "either rope_scaling or rope_parameters");
  r.skip("rope_scaling"), r.skip("rope_parameters");
  if (!classic && !modern) return;
  ObjectReader s = r.object(classic ? "rope_scaling" : "rope_parameters");
  if (modern) c.rope_theta = real(s, "rope_theta", c.rope_theta, 1, kMaxTheta);
  if (modern) neutral<double>(s, "partial_rotary_factor", 1);
  RopeScaling& rope = c.rope_scaling;
  const std::string_view type_key = s.has("rope_type") ? "rope_type" : "type";
  // A scaling without a type would be a guess; "rope_parameters" with nothing but theta is the default.
  if (classic && !s.has(type_key)) s.reject("rope_type", "default|linear|llama3|yarn");
  rope.type = one_of(s, type_key, "default", {"default", "linear", "llama3", "yarn"});
  neutral<std::string>(s, "type", rope.type);  // both names may stand side by side
  if (rope.type == "default") {
    neutral<double>(s, "factor", 1);
    return s.finish();
  }
  s.value("factor");
  rope.factor = real(s, "factor", 1, 1, kMaxFactor);
  if (rope.type == "llama3" || rope.type == "yarn")
    rope.original_max_position_embeddings = size_or(s, "original_max_position_embeddings", 0, kMaxPositions);
  if (rope.type == "llama3") {
    s.value("low_freq_factor"), s.value("high_freq_factor"), s.value("original_max_position_embeddings");
    rope.low_freq_factor = real(s, "low_freq_factor", 1, 1e-6, kMaxFactor);
    rope.high_freq_factor = real(s, "high_freq_factor", 4, 1e-6, kMaxFactor);
    if (rope.high_freq_factor <= rope.low_freq_factor) s.reject("high_freq_factor", "more than low_freq_factor");
  }
  if (rope.type == "yarn") {
    rope.beta_fast = real(s, "beta_fast", 32, 1e-6, kMaxFactor);
    rope.beta_slow = real(s, "beta_slow", 1, 1e-6, kMaxFactor);
    if (rope.beta_fast < rope.beta_slow) s.reject("beta_fast", "no less than beta_slow");
    neutral<bool>(s, "truncate", true);
    auto gain = [&](std::string_view key) {
      return s.has(key) ? std::optional(real(s, key, 0, 0, 100)) : (s.skip(key), std::nullopt);
    };
    // The two ways to set YaRN's gain: coefficients in the MLA families, the gain itself (or a factor on it) elsewhere.
    if (c.uses_mla()) {
      rope.mscale = gain("mscale");
      rope.mscale_all_dim = gain("mscale_all_dim");
    } else {
      rope.attn_factor = gain("attn_factor");
      rope.attention_factor = gain("attention_factor");
    }
  }
  s.finish();
}

void read_attention(ModelConfig& c, ObjectReader& r) {
  const bool mla = c.model_type == ModelType::kDeepseekV2 || c.model_type == ModelType::kDeepseekV3;
  c.num_attention_heads = size(r, "num_attention_heads", kMaxHeads);
  c.num_key_value_heads = size_or(r, "num_key_value_heads", c.num_attention_heads, kMaxHeads);
  if (mla) {
    if (c.num_key_value_heads != c.num_attention_heads) r.reject("num_key_value_heads", "num_attention_heads");
    c.q_lora_rank = size_or(r, "q_lora_rank", 0, kMaxRank);
    c.kv_lora_rank = size(r, "kv_lora_rank", kMaxRank);
    c.qk_nope_head_dim = size(r, "qk_nope_head_dim", kMaxHeadDim);
    c.qk_rope_head_dim = size(r, "qk_rope_head_dim", kMaxHeadDim, 2);
    c.v_head_dim = size(r, "v_head_dim", kMaxHeadDim);
    if (c.qk_rope_head_dim % 2 != 0) r.reject("qk_rope_head_dim", "an even number");
    // transformers repeats these two sums of the fields above.
    neutral<int>(r, "head_dim", c.qk_rope_head_dim);
    neutral<int>(r, "qk_head_dim", c.qk_head_dim());
    neutral<bool>(r, "attention_bias", false);
    return;
  }
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    r.reject("num_key_value_heads", "a divisor of num_attention_heads");
  if (!r.has("head_dim") && c.hidden_size % c.num_attention_heads != 0)
    r.reject("num_attention_heads", str_cat("a divisor of hidden_size=", c.hidden_size, ", or head_dim"));
  c.head_dim = size_or(r, "head_dim", c.hidden_size / c.num_attention_heads, kMaxHeadDim, 2);
  if (c.head_dim < 2 || c.head_dim % 2 != 0)
    r.reject(r.has("head_dim") ? "head_dim" : "num_attention_heads", "an even number of channels per head");
  if (c.model_type == ModelType::kQwen2) {
    neutral<bool>(r, "attention_bias", true);
    c.attention_bias = true;
  } else {
    c.attention_bias = c.o_proj_bias = r.get_or<bool>("attention_bias", false);
  }
}

void read_experts(ModelConfig& c, ObjectReader& r) {
  const bool v2 = c.model_type == ModelType::kDeepseekV2, v3 = c.model_type == ModelType::kDeepseekV3;
  if (!v2 && !v3 && c.model_type != ModelType::kDeepseek) return;
  c.n_routed_experts = size_or(r, "n_routed_experts", 0, kMaxExperts, 0);
  const bool moe = c.n_routed_experts > 0;
  c.n_shared_experts = size_or(r, "n_shared_experts", 0, kMaxExperts, 0);
  c.moe_intermediate_size = size_or(r, "moe_intermediate_size", 0, kMaxIntermediate, moe ? 1 : 0);
  if (moe && c.moe_intermediate_size == 0) r.reject("moe_intermediate_size", "the width of an expert");
  const std::int64_t shared = std::int64_t{c.n_shared_experts} * c.moe_intermediate_size;
  if (shared > kMaxIntermediate) r.reject("n_shared_experts", str_cat("a total width of at most ", kMaxIntermediate));
  c.num_experts_per_tok = size_or(r, "num_experts_per_tok", 0, std::max(c.n_routed_experts, kMaxExperts), moe ? 1 : 0);
  if (moe && (c.num_experts_per_tok < 1 || c.num_experts_per_tok > c.n_routed_experts))
    r.reject("num_experts_per_tok", str_cat("an integer in [1, n_routed_experts=", c.n_routed_experts, "]"));
  c.first_k_dense_replace = size_or(r, "first_k_dense_replace", v3 ? 3 : 0, kMaxLayers, 0);
  c.moe_layer_freq = size_or(r, "moe_layer_freq", 1, kMaxLayers);
  c.norm_topk_prob = r.get_or<bool>("norm_topk_prob", v3);
  c.aux_loss_alpha = real(r, "aux_loss_alpha", 0, 0, 1e3);
  c.seq_aux = r.get_or<bool>("seq_aux", true);
  if (v3) {
    c.scoring_func = one_of(r, "scoring_func", "sigmoid", {"softmax", "sigmoid"});
    c.topk_method = one_of(r, "topk_method", "noaux_tc", {"greedy", "group_limited_greedy", "noaux_tc"});
  } else {
    c.scoring_func = one_of(r, "scoring_func", "softmax", {"softmax"});
    c.topk_method = v2 ? one_of(r, "topk_method", "greedy", {"greedy", "group_limited_greedy"})
                       : one_of(r, "topk_method", "greedy", {"greedy"});
  }
  if (!v2 && !v3) return;
  c.routed_scaling_factor = real(r, "routed_scaling_factor", 1, 1e-6, 1e6);
  c.n_group = size_or(r, "n_group", 1, kMaxExperts);
  c.topk_group = size_or(r, "topk_group", 1, kMaxExperts);
  if (v3) c.num_nextn_predict_layers = size_or(r, "num_nextn_predict_layers", 0, kMaxMtp, 0);
  if (!moe) return;
  if (c.n_routed_experts % c.n_group != 0)
    r.reject("n_group", str_cat("a divisor of n_routed_experts=", c.n_routed_experts));
  if (c.topk_group > c.n_group) r.reject("topk_group", str_cat("at most n_group=", c.n_group));
  if (c.topk_method == "greedy" || c.n_group == 1) return;
  const int group_size = c.n_routed_experts / c.n_group;
  if (c.topk_method == "noaux_tc" && group_size < 2) r.reject("n_group", "groups of two experts or more");
  if (c.num_experts_per_tok > c.topk_group * group_size)
    r.reject("num_experts_per_tok",
             str_cat("at most the ", c.topk_group * group_size, " experts of topk_group groups"));
}

void read_quantization(ModelConfig& c, ObjectReader& r) {
  if (r.find_value("quantization_config") == nullptr) return;
  ObjectReader q = r.object("quantization_config");
  q.value("quant_method"), q.value("weight_block_size");
  one_of(q, "quant_method", "", {"fp8"});
  one_of(q, "fmt", "e4m3", {"e4m3"});
  one_of(q, "activation_scheme", "dynamic", {"dynamic"});
  q.find<std::vector<std::string>>("modules_to_not_convert");  // each tensor says by itself how it is stored
  Fp8Config fp8;
  const auto block = q.get<std::vector<int>>("weight_block_size");
  if (block.size() != 2 || std::min(block[0], block[1]) < 1 || std::max(block[0], block[1]) > kMaxHidden)
    q.reject("weight_block_size", "[rows, columns]");
  fp8.block_rows = block[0], fp8.block_cols = block[1];
  if (q.has("scale_fmt")) fp8.ue8m0_scales = one_of(q, "scale_fmt", "", {"ue8m0"}) == "ue8m0";
  q.finish();
  c.fp8 = fp8;
}

ModelType read_type(ObjectReader& r) {
  const auto name = r.get<std::string>("model_type");
  for (const TypeInfo& t : kTypes)
    if (t.name == name) return t.type;
  r.reject("model_type", "llama|qwen2|qwen3|deepseek|deepseek_v2|deepseek_v3");
}

}  // namespace

std::string_view model_type_name(ModelType type) {
  return kTypes.at(static_cast<std::size_t>(type)).name;
}
std::string architecture_name(const ModelConfig& config) {
  return str_cat(kTypes.at(static_cast<std::size_t>(config.model_type)).class_prefix,
                 config.scalar_head ? "ForSequenceClassification" : "ForCausalLM");
}

ModelConfig parse_model_config(std::string_view json_text, std::string_view where) {
  const Json json = parse_json(json_text, where, {.max_bytes = 1 << 20, .max_depth = 8});
  ObjectReader r(json, where);
  ModelConfig c;
  c.model_type = read_type(r);
  c.vocab_size = size(r, "vocab_size", kMaxVocab);
  c.hidden_size = size(r, "hidden_size", kMaxHidden);
  c.intermediate_size = size(r, "intermediate_size", kMaxIntermediate);
  c.num_hidden_layers = size(r, "num_hidden_layers", kMaxLayers);
  c.max_position_embeddings = size(r, "max_position_embeddings", kMaxPositions);
  c.rms_norm_eps = real(r, "rms_norm_eps", 1e-6, 0, 1);
  c.initializer_range = real(r, "initializer_range", 0.02, 0, 10);
  c.tie_word_embeddings = r.get_or<bool>("tie_word_embeddings", false);
  const std::string_view dtype_key = r.has("dtype") ? "dtype" : "torch_dtype";
  c.torch_dtype = one_of(r, dtype_key, "float32", {"float32", "bfloat16", "float16"});
  neutral<std::string>(r, "torch_dtype", c.torch_dtype);
  neutral<std::string>(r, "dtype", c.torch_dtype);
  read_attention(c, r);
  read_experts(c, r);
  read_rope(c, r);
  read_quantization(c, r);
  read_tokens(c, r);
  read_head(c, r);
  read_neutral_keys(c, r);
  r.finish();
  return c;
}

ModelConfig load_model_config(const std::filesystem::path& path) {
  if (path.extension() == ".gguf") return gguf_model_config(GgufFile(path));
  const std::filesystem::path file = std::filesystem::is_directory(path) ? path / "config.json" : path;
  return parse_model_config(read_file(file, 1 << 20), file.string());
}

}  // namespace hadal
