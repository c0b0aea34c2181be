#include "formats/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

[[maybe_unused]] ModelConfig preset(const std::string& name) {
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
[[maybe_unused]] std::string v3_error(const std::map<std::string, std::string>& changes) {
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

}  // namespace
}  // namespace hadal
