#pragma once
// A tiny model folder, conversations and pairs, and runs of them, for the tests of post/.
#include <gtest/gtest.h>

#include <fstream>

#include "post/post_run.h"
#include "support/run_and_kill.h"
#include "support/run_outcome.h"
#include "support/small_config.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace hadal {

/// A mixture of experts in the shape of V3, over the tokenizer of bytes.
inline void write_tiny_v3_model(const std::filesystem::path& folder, std::uint64_t seed = 3) {
  ModelConfig c = v3_shape();
  c.vocab_size = 264, c.hidden_size = 32, c.intermediate_size = 48, c.max_position_embeddings = 256;
  c.q_lora_rank = 16, c.kv_lora_rank = 16, c.qk_nope_head_dim = 8, c.qk_rope_head_dim = 8, c.v_head_dim = 16;
  c.moe_intermediate_size = 16, c.num_nextn_predict_layers = 1, c.initializer_range = 0.1;
  c.bos_token_id = 256, c.eos_token_ids = {257};
  Model model(c, Precision::parse("f32"), false);
  model.init(seed);
  save_model(model, folder, DType::kF32);
  TokenizerFiles files = byte_tokenizer_files();
  files.config.chat_template = kTinyTemplate;
  write_tokenizer_files(folder, files);
}

inline std::string write_lines(const std::filesystem::path& path, const std::vector<Json>& records) {
  std::ofstream file(path);
  for (const Json& record : records) file << json_line(record) << "\n";
  return path.string();
}

/// Questions of which the answer is the same digit twice.
inline std::vector<Json> some_chats(int n) {
  std::vector<Json> records;
  for (int i = 0; i < n; ++i)
    records.push_back(JsonObject{{"prompt", str_cat("say ", i % 7)}, {"completion", str_cat(i % 7, i % 7)}});
  return records;
}

/// The better answer has the digit of the question, the worse one another.
inline std::vector<Json> some_pairs(int n) {
  std::vector<Json> records;
  for (int i = 0; i < n; ++i)
    records.push_back(JsonObject{{"prompt", str_cat("say ", i % 7, " ", i)},
                                 {"chosen", str_cat("a", i % 7)},
                                 {"rejected", str_cat("b", (i + 3) % 5)}});
  return records;
}

inline PostRunOptions tiny_run(const std::filesystem::path& model, const std::filesystem::path& out) {
  PostRunOptions o;
  o.model = model.string(), o.out = out.string();
  o.steps = 12;
  o.trainer.seq_length = 64;
  o.trainer.batch.sequences = 4;
  o.trainer.micro_sequences = 3;
  o.trainer.lr.lr = 3e-3;
  o.trainer.lr.warmup_steps = 2;
  o.checkpoints = {.every = 3, .keep_last = 2};
  return o;
}

}  // namespace hadal
