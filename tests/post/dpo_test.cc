// DPO: data, the reference, whole runs, and the gradient through a model.
#include "post/dpo.h"

#include "nn/nn_support.h"
#include "post/post_support.h"

namespace hadal {
namespace {

struct Fixture {
  TempDir dir;
  PostRunOptions options;
  std::string pairs;

  Fixture() {
    write_tiny_v3_model(dir / "base");
    pairs = write_lines(dir / "pairs.jsonl", some_pairs(24));
    options = tiny_run(dir / "base", dir / "out");
  }
  PostResult run(const std::string& name, int threads, bool resume = false, const DpoLossOptions& loss = {}) {
    ThreadPool pool(threads);
    Exec exec(pool);
    PostRunOptions o = options;
    o.out = (dir / name).string(), o.resume = resume;
    PostRun run(exec, o);
    const PreferenceEncoder encoder(run.tokenizer(), "test");
    const PreferenceData data = load_preferences(pool, encoder.get(), {pairs}, true, 64);
    const ReferenceLogProbs reference =
        reference_log_probs(run.context(), run.model(), data, "base", dir / name / "reference" / "train.safetensors");
    DpoTask task(data, reference, &data, reference, loss, o.seed);
    return run.go(task, "dpo", {}, data.to_json());
  }
};

TEST(Dpo, StartsAtTheReferenceAndLearnsToPrefer) {
  Fixture f;
  f.options.steps = 30;
  for (const char* loss : {"sigmoid", "ipo", "hinge"}) {
    const PostResult result = f.run(loss, 2, false, {.loss = loss});
    const auto lines = read_json_log(f.dir / loss / "metrics.jsonl");
    EXPECT_EQ(lines.front().at("margin").as_double(), 0) << "the policy is the reference, to the bit";
    EXPECT_EQ(lines.front().at("accuracy").as_double(), 0.5);
    if (std::string_view(loss) == "sigmoid") {
      EXPECT_NEAR(lines.front().at("main_loss").as_double(), std::log(2), 1e-12);
    }
    EXPECT_GT(result.validation.at("accuracy").as_double(), 0.95) << loss;
    EXPECT_LT(lines.back().at("main_loss").as_double(), lines.front().at("main_loss").as_double());
  }
}

TEST(Dpo, ThreadsAndResumeChangeNoBit) {
  Fixture f;
  f.run("whole", 2);
  f.run("one", 1);
  EXPECT_TRUE(outcome(f.dir / "one") == outcome(f.dir / "whole"));
  for (const int milliseconds : {60, 130}) {
    const std::string name = str_cat("killed-", milliseconds);
    run_and_kill([&] { f.run(name, 2); }, milliseconds);
    f.run(name, 1, /*resume=*/true);
    EXPECT_TRUE(outcome(f.dir / name) == outcome(f.dir / "whole")) << name;
  }
}

TEST(Dpo, GradientsOfAModel) {
  const ModelConfig config = tiny_v3();
  Bench bench(precision_of(DType::kF64));
  Model model(config, bench.ctx.precision, true);
  model.init(11);
  PreferenceData data;
  for (int i = 0; i < 3; ++i) {
    Preference pair;
    for (int a = 0; a < 2; ++a) {
      PreferenceAnswer answer;
      for (int t = 0; t < 5 + a + i; ++t) answer.ids.push_back((3 * t + 5 * a + 7 * i) % config.vocab_size);
      answer.trained.assign(answer.ids.size(), 1);
      answer.trained[0] = answer.trained[1] = 0;
      pair.answers.push_back(answer);
    }
    data.records.push_back(pair);
  }
  const ReferenceLogProbs reference{{-9, -11, -8}, {-10, -9, -12}};
  for (const char* name : {"sigmoid", "ipo"}) {
    DpoTask task(data, reference, nullptr, {}, {.loss = name, .beta = 0.3, .sft_weight = 0.2}, 1);
    const auto value = [&] {
      const std::unique_ptr<HeadLoss> loss = task.loss(0, 3, 3);
      return model.train_micro_batch(bench.ctx, task.batch(0, 3), {}, *loss).main;
    };
    clear_gradients(model);
    value();
    SCOPED_TRACE(name);
    expect_gradients(all_params(model), value);
  }
}

TEST(PreferenceData, ShapesAndFaults) {
  TempDir dir;
  write_tiny_model(dir / "base");
  const Tokenizer tokenizer = Tokenizer::load(dir / "base");
  const PreferenceEncoder encoder(tokenizer, "test");
  ThreadPool pool(2);
  std::ofstream(dir / "pairs.jsonl")
      << R"({"prompt": "q", "chosen": "yes", "rejected": "no", "margin": 0.5})" << "\n"
      << R"({"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": "yes"}],)"
      << R"( "rejected": [{"role": "assistant", "content": "no"}]})" << "\n"
      << R"({"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "yes"}],)"
      << R"( "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "no"}]})" << "\n"
      << R"({"prompt": "q", "chosen": "yes"})" << "\n"
      << R"({"prompt": "q", "chosen": "yes", "rejected": "yes"})" << "\n"
      << "nonsense\n[]\n"
      << R"({"prompt": "q", "chosen": "yes", "rejected": ")" << std::string(100, 'x') << "\"}\n";
  const PreferenceData data = load_preferences(pool, encoder.get(), {(dir / "pairs.jsonl").string()}, true, 64);
  ASSERT_EQ(data.records.size(), 3U);
  EXPECT_EQ(data.bad, 4);
  EXPECT_EQ(data.too_long, 1);
  EXPECT_EQ(data.records[0].margin, 0.5);
  for (const Preference& pair : data.records) {
    EXPECT_EQ(pair.answers[0].ids, data.records[0].answers[0].ids);
    EXPECT_EQ(pair.answers[1].ids, data.records[0].answers[1].ids);
  }
  Batch batch;
  append_answer(batch, data.records[0].answers[0]);
  std::string said;
  for (const int target : batch.targets)
    if (target >= 0) said += static_cast<char>(target);
  EXPECT_EQ(said.substr(0, 3), "yes");
  EXPECT_EQ(data.records[0].answers[0].num_trained(), static_cast<std::int64_t>(said.size()));
  EXPECT_THROW(load_preferences(pool, encoder.get(), {(dir / "pairs.jsonl").string()}, false, 64), Error);
}

}  // namespace
}  // namespace hadal
