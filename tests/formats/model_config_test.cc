#include "formats/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "formats/safetensors.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

ModelConfig preset(const std::string& name) {
  return load_model_config(fs::path(HADAL_SOURCE_DIR) / "configs/models" / (name + ".json"));
}

/// A small deepseek_v3 config as JSON, with changes: key -> new value (JSON text), "" removes the key.
std::string v3_with(const std::map<std::string, std::string>& changes) {
  JsonObject o = parse_json(R"({"model_type":"deepseek_v3","vocab_size":256,"hidden_size":64,"intermediate_size":96,
    "moe_intermediate_size":16,"num_hidden_layers":3,"num_attention_heads":4,"n_shared_experts":1,"n_routed_experts":8,
    "num_experts_per_tok":2,"n_group":4,"topk_group":2,"first_k_dense_replace":1,"kv_lora_rank":16,"q_lora_rank":32,
    "qk_nope_head_dim":16,"qk_rope_head_dim":8,"v_head_dim":16,"max_position_embeddings":1024})",
                            "v3")
                     .as_object();
  for (const auto& [key, text] : changes) {
    o.erase(key);
    if (!text.empty()) o[key] = parse_json(text, key);
  }
  return json_line(o);
}
std::string v3_error(const std::map<std::string, std::string>& changes) {
  return error_of([&] { parse_model_config(v3_with(changes), "config.json"); });
}

TEST(ModelConfig, ReadsEveryFixture) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "no shared folder";
  int num_read = 0;
  for (const fs::directory_entry& folder : fs::directory_iterator(shared / "fixtures")) {
    for (const char* name : {"config.json", "config.transformers5.json"}) {
      const fs::path path = folder.path() / name;
      if (!fs::exists(path)) continue;
      SCOPED_TRACE(path.string());
      const ModelConfig c = load_model_config(path);
      EXPECT_TRUE(c.vocab_size == 256 || c.vocab_size == 128);
      // What we write reads back as the same model.
      const std::string text = model_config_json(c);
      EXPECT_EQ(model_config_json(parse_model_config(text, "written")), text);
      ++num_read;
    }
  }
  EXPECT_GE(num_read, 13);
}

TEST(ModelConfig, FixtureFields) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "no shared folder";
  const fs::path fixtures = shared / "fixtures";
  const ModelConfig v3 = load_model_config(fixtures / "deepseek_v3_fp8_ragged");
  EXPECT_EQ(v3.model_type, ModelType::kDeepseekV3);
  EXPECT_TRUE(v3.uses_mla());
  EXPECT_EQ(v3.qk_head_dim(), 32);
  EXPECT_EQ(v3.scoring_func, "sigmoid");
  EXPECT_EQ(v3.topk_method, "noaux_tc");
  EXPECT_EQ(v3.num_nextn_predict_layers, 1);
  ASSERT_TRUE(v3.fp8.has_value());
  EXPECT_EQ(v3.fp8->block_rows, 128);
  EXPECT_FALSE(v3.is_moe_layer(0));
  EXPECT_TRUE(v3.is_moe_layer(1));
  EXPECT_TRUE(v3.is_moe_layer(2));  // the MTP layer

  const ModelConfig lite = load_model_config(fixtures / "deepseek_v2_lite" / "config.json");
  EXPECT_EQ(lite.q_lora_rank, 0);
  EXPECT_EQ(lite.rope_scaling.type, "yarn");
  EXPECT_EQ(lite.rope_scaling.mscale, 0.707);
  EXPECT_EQ(lite.rope_scaling.original_max_position_embeddings, 32);

  const ModelConfig classic = load_model_config(fixtures / "llama3_rope");
  const ModelConfig modern = load_model_config(fixtures / "llama3_rope" / "config.transformers5.json");
  EXPECT_EQ(model_config_json(classic), model_config_json(modern));
  EXPECT_EQ(classic.rope_scaling.type, "llama3");
  EXPECT_EQ(classic.torch_dtype, "float32");

  const ModelConfig qwen2 = load_model_config(fixtures / "qwen2");
  EXPECT_TRUE(qwen2.attention_bias && !qwen2.o_proj_bias && qwen2.tie_word_embeddings);
  EXPECT_EQ(qwen2.head_dim, 16);
  const ModelConfig qwen3 = load_model_config(fixtures / "qwen3_yarn");
  EXPECT_FALSE(qwen3.attention_bias);
  EXPECT_EQ(qwen3.head_dim, 32);
  EXPECT_EQ(qwen3.rope_scaling.attn_factor, 0.8782488562869419);
  EXPECT_FALSE(qwen3.rope_scaling.attention_factor.has_value());
}

struct ExpectedSize {
  const char* name;
  std::int64_t total, active, mtp, kv;
};
// Computed apart from this code, tensor by tensor; to three digits they are the published sizes.
constexpr ExpectedSize kSizes[] = {
    {"deepseek-llm-7b", 6910365696, 6910365696, 0, 245760},
    {"deepseek-llm-67b", 67425001472, 67425001472, 0, 194560},
    {"deepseek-moe-2b", 1991733760, 319582720, 0, 23040},
    {"deepseek-moe-16b", 16375728128, 2828650496, 0, 114688},
    {"deepseek-moe-145b", 144612773888, 22187331584, 0, 507904},
    {"deepseek-v2-lite", 15706484224, 2661150208, 0, 15552},
    {"deepseek-v2", 235741434880, 21375800320, 0, 34560},
    {"deepseek-v3", 671026419200, 37552297472, 11610068224, 35136},
    {"deepseek-r1-distill-qwen-1.5b", 1777088000, 1777088000, 0, 14336},
    {"deepseek-r1-distill-qwen-7b", 7615616512, 7615616512, 0, 28672},
    {"deepseek-r1-distill-qwen-14b", 14770033664, 14770033664, 0, 98304},
    {"deepseek-r1-distill-qwen-32b", 32763876352, 32763876352, 0, 131072},
    {"deepseek-r1-distill-llama-8b", 8030261248, 8030261248, 0, 65536},
    {"deepseek-r1-distill-llama-70b", 70553706496, 70553706496, 0, 163840},
    {"t", 11780560, 4899280, 0, 480},
    {"m", 107933408, 30863072, 0, 1280},
    {"demo", 1720856, 1057304, 411368, 192},
};

TEST(ModelConfig, PresetsHaveTheirExactSizes) {
  for (const ExpectedSize& expected : kSizes) {
    SCOPED_TRACE(expected.name);
    const ModelConfig c = preset(expected.name);
    const ParameterCount count = count_parameters(c);
    EXPECT_EQ(count.total, expected.total);
    EXPECT_EQ(count.active, expected.active);
    EXPECT_EQ(count.mtp, expected.mtp);
    EXPECT_EQ(kv_elements_per_token(c), expected.kv);
  }
}

TEST(ModelConfig, EveryFileOfConfigsModelsIsRead) {
  for (const auto& entry : fs::directory_iterator(fs::path(HADAL_SOURCE_DIR) / "configs/models")) {
    SCOPED_TRACE(entry.path().string());
    const ModelConfig c = load_model_config(entry.path());
    EXPECT_GT(count_parameters(c).active, 0);
    const std::string text = model_config_json(c);
    EXPECT_EQ(model_config_json(parse_model_config(text, "written")), text);
  }
}

TEST(ModelConfig, CountsEqualTheTensorsOfEveryFixture) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "no shared folder";
  int num_read = 0;
  for (const fs::directory_entry& folder : fs::directory_iterator(shared / "fixtures")) {
    if (!fs::exists(folder.path() / "config.json")) continue;
    SCOPED_TRACE(folder.path().string());
    const ModelConfig c = load_model_config(folder.path());
    const std::string mtp_prefix = str_cat("model.layers.", c.num_hidden_layers, ".");
    std::int64_t main = 0, mtp = 0;
    const SafetensorsFolder weights(folder.path());
    for (const auto& [name, tensor] : weights.tensors()) {
      const bool is_copy = name.ends_with("shared_head.head.weight") || name == mtp_prefix + "embed_tokens.weight";
      if (name.ends_with("_scale_inv") || is_copy) continue;
      (name.starts_with(mtp_prefix) ? mtp : main) += tensor.count();
    }
    EXPECT_EQ(count_parameters(c).total, main);
    EXPECT_EQ(count_parameters(c).mtp, mtp);
    ++num_read;
  }
  EXPECT_GE(num_read, 13);
}

TEST(ModelConfig, AcceptsWhatHuggingFaceWrites) {
  const std::map<std::string, std::string> harmless = {
      {"auto_map", R"({"AutoConfig":"configuration_deepseek.DeepseekV3Config"})"},
      {"transformers_version", "\"4.33.1\""},
      {"attention_dropout", "0.0"},
      {"hidden_act", "\"silu\""},
      {"pretraining_tp", "1"},
      {"ep_size", "8"},
      {"rope_interleave", "true"},
      {"head_dim", "8"},
      {"qk_head_dim", "24"},
      {"pad_token_id", "2"},
      {"eos_token_id", "[1,2]"},
      {"bos_token_id", "null"},
      {"use_cache", "false"},
      {"dtype", "\"bfloat16\""},
      {"sliding_window", "null"},
      {"anything", "null"},
      {"architectures", R"(["DeepseekV3ForCausalLM"])"},
      {"layer_types", R"(["full_attention","full_attention","full_attention"])"},
      {"rope_parameters", R"({"rope_type":"yarn","type":"yarn","rope_theta":500,"factor":4,"mscale":1.0})"},
      {"quantization_config",
       R"({"quant_method":"fp8","fmt":"e4m3","weight_block_size":[128,64],"scale_fmt":"ue8m0","modules_to_not_convert":["lm_head"]})"}};
  const ModelConfig c = parse_model_config(v3_with(harmless), "config.json");
  EXPECT_EQ(c.eos_token_ids, (std::vector<int>{1, 2}));
  EXPECT_EQ(c.bos_token_id, -1);
  EXPECT_EQ(c.torch_dtype, "bfloat16");
  EXPECT_EQ(c.rope_theta, 500);
  EXPECT_EQ(c.rope_scaling.mscale, 1.0);
  EXPECT_FALSE(c.rope_scaling.mscale_all_dim.has_value());
  EXPECT_EQ(c.fp8->block_cols, 64);
  EXPECT_TRUE(c.fp8->ue8m0_scales);
  EXPECT_EQ(c.num_nextn_predict_layers, 0);  // transformers' own class does not write it
  EXPECT_EQ(c.scoring_func, "sigmoid");
  const std::string text = model_config_json(c);
  EXPECT_EQ(model_config_json(parse_model_config(text, "written")), text);
}

TEST(ModelConfig, RejectsWhatWouldChangeTheModel) {
  const std::vector<std::pair<std::string, std::string>> wrong = {{"index_topk", "2048"},
                                                                  {"attention_dropout", "0.1"},
                                                                  {"hidden_act", "\"gelu\""},
                                                                  {"pretraining_tp", "2"},
                                                                  {"rope_interleave", "false"},
                                                                  {"head_dim", "64"},
                                                                  {"attention_bias", "true"},
                                                                  {"mlp_bias", "true"},
                                                                  {"sliding_window", "4096"},
                                                                  {"torch_dtype", "\"float64\""},
                                                                  {"scoring_func", "\"tanh\""},
                                                                  {"topk_method", "\"best\""},
                                                                  {"model_type", "\"gpt2\""},
                                                                  {"num_key_value_heads", "2"},
                                                                  {"n_group", "3"},
                                                                  {"topk_group", "5"},
                                                                  {"num_experts_per_tok", "9"},
                                                                  {"num_experts_per_tok", "0"},
                                                                  {"qk_rope_head_dim", "7"},
                                                                  {"vocab_size", "0"},
                                                                  {"vocab_size", "-1"},
                                                                  {"vocab_size", "16777217"},
                                                                  {"hidden_size", "1e18"},
                                                                  {"hidden_size", "65537"},
                                                                  {"num_hidden_layers", "100000"},
                                                                  {"n_routed_experts", "1e9"},
                                                                  {"n_shared_experts", "100000"},
                                                                  {"rms_norm_eps", "-1"},
                                                                  {"rope_theta", "0"},
                                                                  {"initializer_range", "\"0.02\""},
                                                                  {"hidden_size", "64.5"},
                                                                  {"hidden_size", "true"},
                                                                  {"bos_token_id", "256"},
                                                                  {"eos_token_id", "[1,-1]"},
                                                                  {"architectures", R"(["A","B"])"},
                                                                  {"moe_intermediate_size", ""},
                                                                  {"max_position_embeddings", ""},
                                                                  {"kv_lora_rank", "0"},
                                                                  {"layer_types", R"(["sliding_attention"])"},
                                                                  {"moe_layer_freq", "0"},
                                                                  {"num_nextn_predict_layers", "65"},
                                                                  {"routed_scaling_factor", "1e300"}};
  for (const auto& [key, text] : wrong) EXPECT_THAT(v3_error({{key, text}}), HasSubstr(key)) << text;
  // A group of one expert has no two best, and two groups of two cannot give five experts.
  EXPECT_THAT(v3_error({{"n_group", "8"}}), HasSubstr("two experts"));
  EXPECT_THAT(v3_error({{"num_experts_per_tok", "5"}}), HasSubstr("topk_group groups"));
  EXPECT_THAT(v3_error({{"dtype", "\"bfloat16\""}, {"torch_dtype", "\"float32\""}}), HasSubstr("torch_dtype"));
}

TEST(ModelConfig, RejectsUnknownRopeAndQuantization) {
  auto rope = [](const std::string& text) { return v3_error({{"rope_scaling", text}}); };
  EXPECT_THAT(rope(R"({"type":"dynamic","factor":2})"), HasSubstr("rope_scaling.type: got \"dynamic\""));
  EXPECT_THAT(rope(R"({"factor":2})"), HasSubstr("rope_scaling.rope_type"));
  EXPECT_THAT(rope(R"({"type":"yarn"})"), HasSubstr("rope_scaling.factor: missing"));
  EXPECT_THAT(rope(R"({"type":"yarn","factor":0.5})"), HasSubstr("rope_scaling.factor"));
  EXPECT_THAT(rope(R"({"type":"linear","factor":2,"beta_fast":1})"), HasSubstr("unknown keys: \"beta_fast\""));
  EXPECT_THAT(rope(R"({"type":"yarn","factor":2,"attention_factor":1})"),
              HasSubstr("unknown keys: \"attention_factor\""));
  EXPECT_THAT(rope(R"({"type":"yarn","rope_type":"linear","factor":2})"), HasSubstr("rope_scaling.type"));
  EXPECT_THAT(rope(R"({"type":"llama3","factor":2})"), HasSubstr("low_freq_factor: missing"));
  EXPECT_THAT(rope(R"({"type":"yarn","factor":2,"beta_fast":1,"beta_slow":2})"), HasSubstr("beta_fast"));
  EXPECT_THAT(rope("7"), HasSubstr("rope_scaling: got 7, want an object"));
  EXPECT_THAT(
      v3_error({{"rope_scaling", R"({"type":"linear","factor":2})"}, {"rope_parameters", R"({"rope_theta":1e4})"}}),
      HasSubstr("either"));
  auto quantized = [](const std::string& text) { return v3_error({{"quantization_config", text}}); };
  EXPECT_THAT(quantized(R"({"quant_method":"awq"})"), HasSubstr("weight_block_size: missing"));
  EXPECT_THAT(quantized(R"({"quant_method":"awq","weight_block_size":[128,128]})"),
              HasSubstr("quant_method: got \"awq\""));
  EXPECT_THAT(quantized(R"({"quant_method":"fp8","weight_block_size":[128]})"), HasSubstr("[rows, columns]"));
  EXPECT_THAT(quantized(R"({"quant_method":"fp8","weight_block_size":[0,128]})"), HasSubstr("[rows, columns]"));
  EXPECT_THAT(quantized(R"({"quant_method":"fp8","weight_block_size":[128,128],"bits":8})"), HasSubstr("\"bits\""));
}

TEST(ModelConfig, DenseFamilies) {
  const std::string base = R"("vocab_size":100,"hidden_size":60,"intermediate_size":100,"num_hidden_layers":2,
    "num_attention_heads":6,"max_position_embeddings":64)";
  const ModelConfig llama =
      parse_model_config(str_cat(R"({"model_type":"llama",)", base, R"(,"attention_bias":true})"), "x");
  EXPECT_EQ(llama.num_key_value_heads, 6);
  EXPECT_EQ(llama.head_dim, 10);
  EXPECT_TRUE(llama.attention_bias && llama.o_proj_bias);
  EXPECT_EQ(llama.torch_dtype, "float32");
  auto error = [&](std::string_view type, std::string_view more) {
    return error_of([&] { parse_model_config(str_cat(R"({"model_type":")", type, "\",", base, more, "}"), "x"); });
  };
  EXPECT_THAT(error("qwen2", R"(,"attention_bias":false)"), HasSubstr("attention_bias"));
  EXPECT_THAT(error("qwen2", R"(,"use_sliding_window":true)"), HasSubstr("use_sliding_window"));
  EXPECT_THAT(error("llama", R"(,"num_key_value_heads":4)"), HasSubstr("divisor"));
  EXPECT_THAT(error("llama", R"(,"n_routed_experts":4)"), HasSubstr("unknown keys: \"n_routed_experts\""));
  EXPECT_THAT(error("llama", R"(,"head_dim":9)"), HasSubstr("head_dim"));
  EXPECT_THAT(error("deepseek", R"(,"topk_method":"noaux_tc")"), HasSubstr("topk_method"));
  EXPECT_THAT(error("deepseek_v2", R"(,"scoring_func":"sigmoid")"), HasSubstr("kv_lora_rank: missing"));
}

TEST(ModelConfig, LargestSizesDoNotOverflow) {
  const ModelConfig c = parse_model_config(
      R"({"model_type":"deepseek_v3","vocab_size":16777216,"hidden_size":65536,"intermediate_size":262144,
      "moe_intermediate_size":262144,"num_hidden_layers":1024,"num_attention_heads":4096,"n_routed_experts":4096,
      "num_experts_per_tok":4096,"n_shared_experts":1,"kv_lora_rank":65536,"q_lora_rank":65536,"qk_nope_head_dim":4096,
      "qk_rope_head_dim":4096,"v_head_dim":4096,"max_position_embeddings":1073741824,"first_k_dense_replace":0,
      "num_nextn_predict_layers":64})",
      "largest");
  const ParameterCount count = count_parameters(c);
  EXPECT_GT(count.total, std::int64_t{1} << 57);
  EXPECT_LT(count.total, std::int64_t{1} << 59);  // times 8 bytes still fits
  EXPECT_GT(count.mtp, 0);
}

// Shapes T and M of the speed targets: 24.55 and 175.7 MFLOP a token.
TEST(ModelSize, TrainingFlopsPerToken) {
  const std::filesystem::path models = std::filesystem::path(HADAL_SOURCE_DIR) / "configs/models";
  EXPECT_NEAR(training_flops_per_token(load_model_config(models / "t.json"), 256) / 24.55e6, 1, 0.005);
  EXPECT_NEAR(training_flops_per_token(load_model_config(models / "m.json"), 512) / 175.7e6, 1, 0.005);
}

}  // namespace
}  // namespace hadal
