#include "formats/inspect.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <string_view>

#include "base/error.h"
#include "formats/inspect_gguf.h"
#include "formats/model_config.h"
#include "formats/safetensors.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

boost::json::string_view json_text(std::string_view text) {
  return {text.data(), text.size()};
}

/// Totals of a tensor list, all together and by dtype.
JsonObject summary(const std::map<std::string, StoredTensor>& tensors) {
  struct Sum {
    std::int64_t num_tensors = 0, num_values = 0, bytes = 0;
    void add(const StoredTensor& t) { ++num_tensors, num_values += t.count(), bytes += t.bytes(); }
    JsonObject json() const { return {{"num_tensors", num_tensors}, {"num_values", num_values}, {"bytes", bytes}}; }
  };
  Sum all;
  std::map<std::string_view, Sum> by_dtype;
  for (const auto& [name, tensor] : tensors) {
    all.add(tensor);
    by_dtype[safetensors_dtype_name(tensor.dtype)].add(tensor);
  }
  JsonObject result = all.json(), dtypes;
  for (const auto& [name, sum] : by_dtype) dtypes[json_text(name)] = sum.json();
  result["dtypes"] = std::move(dtypes);
  return result;
}

JsonObject inspect_model(const ModelConfig& c) {
  const ParameterCount count = count_parameters(c);
  const std::int64_t kv = kv_elements_per_token(c);
  JsonObject result;
  result["kind"] = "model";
  result["model_type"] = json_text(model_type_name(c.model_type));
  result["architecture"] = architecture_name(c);
  result["config"] = parse_json(model_config_json(c), "config");
  result["parameters"] = JsonObject{{"total", count.total}, {"active", count.active}, {"mtp", count.mtp}};
  result["kv_elements_per_token"] = kv;
  result["kv_bytes_per_token"] = bytes_of(DType::kBF16, kv);
  result["weights"] = nullptr;
  return result;
}

JsonObject inspect_safetensors(const fs::path& path) {
  const SafetensorsFile file(path);
  JsonObject result, metadata;
  JsonArray list;
  for (const auto& [key, value] : file.metadata()) metadata[key] = value;
  for (const auto& [name, tensor] : file.tensors()) {
    JsonArray shape(tensor.shape.begin(), tensor.shape.end());
    list.push_back(JsonObject{{"name", name},
                              {"dtype", json_text(safetensors_dtype_name(tensor.dtype))},
                              {"shape", std::move(shape)},
                              {"bytes", tensor.bytes()}});
  }
  result["kind"] = "safetensors";
  result["metadata"] = std::move(metadata);
  for (const auto& [key, value] : summary(file.tensors())) result[key] = value;
  result["tensors"] = std::move(list);
  return result;
}

/// 1234567 -> "1.23 M"; powers of 1000.
std::string with_unit(std::int64_t value) {
  constexpr std::array kUnits = {"", " K", " M", " B", " T"};
  auto v = static_cast<double>(value);
  std::size_t unit = 0;
  for (; v >= 999.995 && unit + 1 < kUnits.size(); ++unit) v /= 1000;
  return unit == 0 ? fmt::format("{}", value) : fmt::format("{:.2f}{}", v, kUnits[unit]);
}

std::string bytes_text(std::int64_t bytes) {
  std::string text = with_unit(bytes);
  if (text.back() == 'B') text.back() = 'G';
  return text + (bytes < 1000 ? " bytes" : "B");
}

/// "F8_E4M3 1234 tensors 12.3 GB, ..."
std::string dtypes_text(const JsonObject& report) {
  std::string text;
  for (const auto& [name, sum] : report.at("dtypes").as_object())
    text += fmt::format("{}{} {} in {} tensors", text.empty() ? "" : ", ", std::string_view(name.data(), name.size()),
                        bytes_text(sum.at("bytes").as_int64()), sum.at("num_tensors").as_int64());
  return text;
}

std::string attention_text(const ModelConfig& c) {
  if (c.uses_mla())
    return fmt::format("latent, {} heads of {} + {} (nope + rope), v {}, kv_lora {}, q_lora {}", c.num_attention_heads,
                       c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim, c.kv_lora_rank,
                       c.q_lora_rank > 0 ? std::to_string(c.q_lora_rank) : "none");
  return fmt::format("{} heads on {} key-value heads of {}{}{}", c.num_attention_heads, c.num_key_value_heads,
                     c.head_dim, c.attention_bias ? ", with bias" : "",
                     c.model_type == ModelType::kQwen3 ? ", q/k norm" : "");
}

std::string rope_text(const ModelConfig& c) {
  const RopeScaling& rope = c.rope_scaling;
  std::string text = fmt::format("theta {}", c.rope_theta);
  if (rope.type == "default") return text;
  text += fmt::format(", {} x {}", rope.type, rope.factor);
  if (rope.original_max_position_embeddings > 0) text += fmt::format(" from {}", rope.original_max_position_embeddings);
  return text;
}

std::string model_text(const JsonObject& report) {
  const ModelConfig c = parse_model_config(json_line(report.at("config")), "config");
  const ParameterCount count = count_parameters(c);
  std::string text;
  auto line = [&](std::string_view what, const std::string& value) { text += fmt::format("{:<12}{}\n", what, value); };
  line("model", fmt::format("{} ({})", model_type_name(c.model_type), architecture_name(c)));
  std::string parameters = with_unit(count.total);
  if (count.active != count.total) parameters += fmt::format(", {} active per token", with_unit(count.active));
  if (count.mtp > 0)
    parameters += fmt::format("; {} more in {} MTP layers", with_unit(count.mtp), c.num_nextn_predict_layers);
  line("parameters", parameters);
  line("shape", fmt::format("{} layers, hidden {}, dense FFN {}, vocabulary {}{}, context {}", c.num_hidden_layers,
                            c.hidden_size, c.intermediate_size, c.vocab_size, c.tie_word_embeddings ? " (tied)" : "",
                            c.max_position_embeddings));
  line("attention", attention_text(c));
  if (c.n_routed_experts > 0) {
    line("experts",
         fmt::format("{} of {} routed + {} shared, width {}; dense before layer {}", c.num_experts_per_tok,
                     c.n_routed_experts, c.n_shared_experts, c.moe_intermediate_size, c.first_k_dense_replace));
    line("router", fmt::format("{}, {}, {} of {} groups, scale {}{}", c.scoring_func, c.topk_method, c.topk_group,
                               c.n_group, c.routed_scaling_factor, c.norm_topk_prob ? ", gates sum to 1" : ""));
  }
  line("positions", rope_text(c));
  line("KV cache", fmt::format("{} values per token, {} in bf16", kv_elements_per_token(c),
                               bytes_text(report.at("kv_bytes_per_token").as_int64())));
  if (c.fp8) line("stored as", fmt::format("FP8 blocks of {} x {}", c.fp8->block_rows, c.fp8->block_cols));
  if (const JsonObject* weights = report.at("weights").if_object())
    line("weights", fmt::format("{}: {}", bytes_text(weights->at("bytes").as_int64()), dtypes_text(*weights)));
  else
    line("weights", "none here");
  return text;
}

}  // namespace

JsonObject inspect(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (fs::is_directory(path)) {
    JsonObject result = inspect_model(load_model_config(path));
    if (fs::exists(path / "model.safetensors") || fs::exists(path / "model.safetensors.index.json"))
      result["weights"] = summary(SafetensorsFolder(path).tensors());
    return result;
  }
  HADAL_CHECK(fs::exists(path), path.string(), ": no such file or folder");
  if (extension == ".json") return inspect_model(load_model_config(path));
  if (extension == ".safetensors") return inspect_safetensors(path);
  if (extension == ".gguf") return inspect_gguf(GgufFile(path));
  fail(path.string(), ": got a file \"", extension, "\", want a model folder, .json, .safetensors or .gguf");
}

std::string inspect_text(const JsonObject& report) {
  if (report.at("kind") == "model") return model_text(report);
  std::string text;
  for (const Json& tensor : report.at("tensors").as_array())
    text += fmt::format("{:<8} {:>20} {:>12}  {}\n", std::string_view(tensor.at("dtype").as_string()),
                        json_line(tensor.at("shape")), bytes_text(tensor.at("bytes").as_int64()),
                        std::string_view(tensor.at("name").as_string()));
  for (const auto& [key, value] : report.at("metadata").as_object())
    text += fmt::format("metadata {}: {}\n", std::string_view(key.data(), key.size()), json_excerpt(value));
  return text + fmt::format("{} tensors, {} values, {}: {}\n", report.at("num_tensors").as_int64(),
                            with_unit(report.at("num_values").as_int64()), bytes_text(report.at("bytes").as_int64()),
                            dtypes_text(report));
}

}  // namespace hadal
