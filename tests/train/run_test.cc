// Whole runs: resume after a kill, thread counts, what lies in the folder.
#include "train/run.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/tokenizer/bpe_trainer.h"
#include "support/run_and_kill.h"
#include "support/run_outcome.h"
#include "support/small_config.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

TokenizerFiles byte_tokenizer() {
  TokenizerTrainOptions options;
  options.vocab_size = 300;
  options.num_reserved = 0;
  return train_tokenizer({}, options).files;
}

ModelConfig small_v3(int vocab_size) {
  ModelConfig c = v3_shape();
  c.vocab_size = vocab_size, c.hidden_size = 32, c.intermediate_size = 48, c.max_position_embeddings = 64;
  c.q_lora_rank = 16, c.kv_lora_rank = 16, c.qk_nope_head_dim = 8, c.qk_rope_head_dim = 8, c.v_head_dim = 16;
  c.moe_intermediate_size = 16, c.num_nextn_predict_layers = 1;
  c.bos_token_id = 0, c.eos_token_ids = {1};
  return c;
}

/// A corpus, a tokenizer and the options of a short run.
struct Fixture {
  TempDir dir;
  Tokenizer tokenizer{byte_tokenizer()};
  std::optional<TokenShard> shard;
  RunOptions options;
  RunInputs inputs;

  explicit Fixture(const std::string& precision = "bf16") {
    std::vector<std::vector<int>> documents;
    for (int d = 0; d < 40; ++d) {
      std::string text;
      for (int i = 0; i < 30; ++i)
        text += str_cat("line ", i, " of document ", d, ": ", (d * 7 + i * 3) % 11, " fish swim. ");
      documents.push_back(tokenizer.encode(text));
    }
    write_token_shard(dir / "tokens.shard", tokenizer.vocab_size(), documents);
    shard.emplace(dir / "tokens.shard");
    options.steps = 30;
    options.trainer.precision = precision;
    options.trainer.seq_length = 32;
    options.trainer.micro_sequences = 3;
    options.trainer.batch.sequences = 4;
    options.trainer.lr = {.kind = "cosine", .lr = 3e-3, .warmup_steps = 5};
    options.trainer.ema_decay = 0.9;
    options.loader.validation_share = 0.1;
    options.loader.mask_documents = true;
    options.checkpoints = {.every = 4, .keep_last = 2};
    options.validation = {.every = 0, .sequences = 4};
    options.samples.prompts = {"line 3"};
    options.samples.max_tokens = 8;
    inputs.verb = "pretrain";
    inputs.config = small_v3(tokenizer.vocab_size());
    inputs.shard = &*shard;
    inputs.tokenizer = &tokenizer;
  }
  RunResult run(const std::string& name, int threads, bool resume = false) {
    ThreadPool pool(threads);
    Exec exec(pool);
    return run_training(exec, options, inputs, dir / name, resume);
  }
  std::string outcome(const std::string& name) const { return hadal::outcome(dir / name); }
};

TEST(Run, LearnsAndLeavesAWholeFolder) {
  Fixture s;
  const RunResult result = s.run("a", 2);
  EXPECT_TRUE(result.finished);
  const auto lines = read_json_log(s.dir / "a" / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 30U);
  EXPECT_LT(lines.back().at("main_loss").as_double(), 0.8 * lines.front().at("main_loss").as_double());
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                           "generation_config.json", "trainer_state.safetensors", "trainer_state.json"})
    EXPECT_TRUE(fs::exists(result.model / file)) << file;
  EXPECT_EQ(list_checkpoints(s.dir / "a" / "checkpoints").size(), 2U);
  EXPECT_FALSE(read_json_log(s.dir / "a" / "samples.jsonl").empty());
  EXPECT_GT(result.bits_per_byte, 0);
  EXPECT_THROW(s.run("a", 2), Error);  // the folder holds a run
}

TEST(Run, ThreadsChangeNoBit) {
  for (const char* precision : {"bf16", "fp8", "f32"}) {
    Fixture s(precision);
    s.options.steps = 8;
    s.run("one", 1);
    s.run("two", 2);
    EXPECT_TRUE(s.outcome("one") == s.outcome("two")) << precision;
  }
}

TEST(Run, ResumeAfterKillContinuesBitForBit) {
  Fixture s;
  s.run("whole", 2);
  for (const int milliseconds : {60, 150, 260}) {
    const std::string name = str_cat("killed-", milliseconds);
    run_and_kill([&] { s.run(name, 2); }, milliseconds);
    s.run(name, 1, /*resume=*/true);
    EXPECT_TRUE(s.outcome(name) == s.outcome("whole")) << name;
  }
}

TEST(Run, ResumesOnlyWithItsTokenizer) {
  Fixture s;
  s.options.steps = 8;
  s.run("a", 1);
  const fs::path manifest = s.dir / "a" / "manifest.json";
  JsonObject root = read_json_file(manifest).as_object();
  const std::string hash = json_as<std::string>(root.at("tokenizer").at("hash"), "hash");
  EXPECT_TRUE(hash.starts_with("xxh3:"));
  root["tokenizer"].as_object()["hash"] = "xxh3:0";
  write_file_atomically(manifest, json_pretty(root));
  EXPECT_NE(error_of([&] { s.run("a", 1, /*resume=*/true); }).find("tokenizer: the run began with hash \"xxh3:0\""),
            std::string::npos);
}

TEST(Run, StepsThatStandOutAreLoggedAndUndone) {
  Fixture s;
  s.options.trainer.lr = {.kind = "cosine", .lr = 1e-6};  // the loss goes up and down by chance
  s.options.trainer.guard = {
      .window = 8, .min_history = 4, .loss_threshold = 0.5, .max_skips = 1, .max_rollbacks = 1000};
  EXPECT_TRUE(s.run("a", 2).finished);
  EXPECT_EQ(read_json_log(s.dir / "a" / "metrics.jsonl").size(), 30U);
  Loader loader(*s.shard, s.options.loader, static_cast<std::uint64_t>(s.options.seed), Split::kTrain, 32,
                s.tokenizer.bos_id(), s.tokenizer.eos_id());
  bool skipped = false, rolled_back = false;
  for (const JsonObject& line : read_json_log(s.dir / "a" / "guard.jsonl")) {
    skipped |= line.at("verdict").as_string() == "skip", rolled_back |= line.at("verdict").as_string() == "roll back";
    const std::int64_t first = line.at("first_sequence").as_int64();
    EXPECT_EQ(first, 4 * (line.at("step").as_int64() - 1));
    const Batch batch = loader.batch(first, 4);
    std::vector<int> ids;
    for (const Json& sequence : line.at("ids").as_array())
      for (const Json& id : sequence.as_array()) ids.push_back(static_cast<int>(id.as_int64()));
    EXPECT_EQ(ids, batch.ids);
    EXPECT_EQ(line.at("text").as_array()[0].as_string(), s.tokenizer.decode(std::span(ids).first(32)));
  }
  EXPECT_TRUE(skipped);
  EXPECT_TRUE(rolled_back);
}

TEST(Run, TheBatchGrows) {
  Fixture s;
  s.options.trainer.batch = {.sequences = 8, .ramp_from = 2, .ramp_fraction = 0.5, .multiple = 2};
  s.run("a", 2);
  std::vector<std::int64_t> sizes;
  std::int64_t tokens = 0;
  for (const JsonObject& line : read_json_log(s.dir / "a" / "metrics.jsonl")) {
    sizes.push_back((line.at("tokens").as_int64() - tokens) / 32);
    tokens = line.at("tokens").as_int64();
  }
  EXPECT_EQ(sizes.front(), 2);
  EXPECT_EQ(sizes.back(), 8);
  EXPECT_TRUE(std::is_sorted(sizes.begin(), sizes.end()));
}

TEST(Run, WrongInputsAreErrors) {
  Fixture s;
  s.inputs.config.vocab_size = 100;
  EXPECT_THROW(s.run("a", 1), Error);
  s.inputs.config.vocab_size = s.tokenizer.vocab_size();
  s.options.trainer.seq_length = 4096;
  EXPECT_THROW(s.run("b", 1), Error);
}

}  // namespace
}  // namespace hadal
