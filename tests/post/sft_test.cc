// Whole runs of supervised fine-tuning: learning, resume, threads, adapters.
#include "post/sft.h"

#include "nn/weights.h"
#include "post/post_support.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

struct Fixture {
  TempDir dir;
  SftInputOptions input;
  PostRunOptions options;

  explicit Fixture(bool v3 = true) {
    if (v3)
      write_tiny_v3_model(dir / "base");
    else
      write_tiny_model(dir / "base");
    input.input = {write_lines(dir / "chats.jsonl", some_chats(50))};
    input.validation = {write_lines(dir / "held-out.jsonl", some_chats(7))};
    options = tiny_run(dir / "base", dir / "out");
  }
  PostResult run(const std::string& name, int threads, bool resume = false) {
    ThreadPool pool(threads);
    Exec exec(pool);
    PostRunOptions o = options;
    o.out = (dir / name).string(), o.resume = resume;
    const SftData data = open_sft_data(pool, input, o.model, o.trainer.seq_length, o.seed, o.out);
    PostRun run(exec, o, data.chat_template);
    SftTask task(data, run.tokenizer(), o.seed);
    return run.go(task, "sft", {}, data.manifest);
  }
};

TEST(Sft, LearnsAndLeavesAModelFolder) {
  Fixture f;
  f.options.steps = 40;
  f.options.trainer.lr.lr = 1e-2;
  const PostResult result = f.run("a", 2);
  EXPECT_TRUE(result.finished);
  const auto lines = read_json_log(f.dir / "a" / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 40U);
  EXPECT_LT(lines.back().at("main_loss").as_double(), 0.5 * lines.front().at("main_loss").as_double());
  EXPECT_LT(result.validation.at("loss").as_double(), 0.5 * lines.front().at("main_loss").as_double());
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"})
    EXPECT_TRUE(fs::exists(result.model / file)) << file;
  ThreadPool pool(1);
  Exec exec(pool);
  EXPECT_GT(load_model(exec, result.model, Precision::parse("bf16"), false).num_parameters(), 0);
  EXPECT_THROW(f.run("a", 2), Error);  // the folder holds a run
}

TEST(Sft, ThreadsChangeNoBit) {
  for (const char* precision : {"bf16", "fp8"}) {
    Fixture f;
    f.options.steps = 5;
    f.options.trainer.precision = precision;
    f.run("one", 1);
    f.run("two", 2);
    EXPECT_TRUE(outcome(f.dir / "one") == outcome(f.dir / "two")) << precision;
  }
}

TEST(Sft, ResumeAfterKillContinuesBitForBit) {
  for (const int rank : {0, 4}) {
    Fixture f;
    f.options.lora.rank = rank;
    f.run("whole", 2);
    for (const int milliseconds : {40, 120}) {
      const std::string name = str_cat("killed-", milliseconds);
      run_and_kill([&] { f.run(name, 2); }, milliseconds);
      f.run(name, 1, /*resume=*/true);
      EXPECT_TRUE(outcome(f.dir / name) == outcome(f.dir / "whole")) << name << " rank " << rank;
    }
  }
}

TEST(Sft, EpochsShuffleAndCountSteps) {
  Fixture f(/*v3=*/false);
  f.options.steps = 0, f.options.epochs = 2;
  f.input.pack = false;
  f.run("a", 2);
  EXPECT_EQ(read_json_log(f.dir / "a" / "metrics.jsonl").size(), 25U);  // 2 * 50 sequences of one chat, 4 a step
}

TEST(Sft, AdaptersTrainAloneAndRoundTrip) {
  Fixture f(/*v3=*/false);
  f.options.steps = 30;
  f.options.trainer.lr.lr = 2e-2;
  f.options.trainer.precision = "f32", f.options.checkpoint_dtype = "f32";
  f.options.lora = {.rank = 4, .alpha = 8, .targets = {"q_proj", "down_proj"}};
  const PostResult result = f.run("a", 2);
  const auto lines = read_json_log(f.dir / "a" / "metrics.jsonl");
  // Under a frozen random head there is little to win.
  EXPECT_LT(lines.back().at("main_loss").as_double(), lines.front().at("main_loss").as_double() - 0.2);

  ThreadPool pool(2);
  Exec exec(pool);
  const Precision f32 = Precision::parse("f32");
  Model base = load_model(exec, f.dir / "base", f32, true), merged = load_model(exec, result.model, f32, false);
  const auto weights = [](Model& model) {
    std::map<std::string, std::vector<float>> all;
    model.visit_params([&](const Param& p) {
      const auto values = p.value.flat<float>();
      all[p.name].assign(values.begin(), values.end());
    });
    return all;
  };
  const auto before = weights(base), after = weights(merged);
  for (const auto& [name, values] : before) {
    const bool target = name.ends_with("q_proj.weight") || name.ends_with("down_proj.weight");
    EXPECT_EQ(values != after.at(name), target) << name;
  }
  // What PEFT reads gives the merged weights back.
  const LoraOptions options = read_adapter_config(result.model / "adapter", {});
  EXPECT_EQ(options.rank, 4);
  const Lora again(exec, base, options, 1);
  EXPECT_EQ(weights(base), after);
  const SafetensorsFile file(result.model / "adapter" / "adapter_model.safetensors");
  EXPECT_TRUE(file.tensors().contains("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"));
}

TEST(Sft, WrongInputsAreErrors) {
  Fixture f(/*v3=*/false);
  f.options.trainer.seq_length = 4096;
  EXPECT_THROW(f.run("a", 1), Error);
  f.options.trainer.seq_length = 64;
  f.options.lora = {.rank = 4, .targets = {"no_such_proj"}};
  EXPECT_THROW(f.run("b", 1), Error);
  f.options.lora = {};
  f.input.prepared = "x";
  EXPECT_THROW(f.run("c", 1), Error);
  f.input = {};
  EXPECT_THROW(f.run("d", 1), Error);
  f.input.prepared = (f.dir / "none").string();
  EXPECT_THROW(f.run("e", 1), Error);
}

}  // namespace
}  // namespace hadal
