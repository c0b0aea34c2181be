// Reward models: learning from pairs and labels, and the scorer that a checkpoint gives.
#include "post/reward_model.h"

#include "post/post_support.h"

namespace hadal {
namespace {

struct Fixture {
  TempDir dir;
  PostRunOptions options;

  Fixture() {
    write_tiny_v3_model(dir / "base");
    options = tiny_run(dir / "base", dir / "out");
    options.steps = 25, options.trainer.lr.lr = 1e-2;
  }
  PostResult run(const std::string& name, const std::string& file, bool pairwise, int threads = 2,
                 bool resume = false) {
    ThreadPool pool(threads);
    Exec exec(pool);
    PostRunOptions o = options;
    o.out = (dir / name).string(), o.resume = resume;
    PostRun run(exec, o, {}, scalar_head_config(o.model));
    const PreferenceEncoder encoder(run.tokenizer(), "test");
    const PreferenceData data = load_preferences(pool, encoder.get(), {file}, pairwise, 64);
    RewardTask task(data, &data, pairwise, o.seed);
    return run.go(task, "reward", {}, data.to_json());
  }
};

TEST(RewardModel, LearnsPairsAndScoresAlone) {
  Fixture f;
  const std::string file = write_lines(f.dir / "pairs.jsonl", some_pairs(24));
  const PostResult result = f.run("a", file, /*pairwise=*/true);
  const auto lines = read_json_log(f.dir / "a" / "metrics.jsonl");
  EXPECT_NEAR(lines.front().at("main_loss").as_double(), std::log(2), 1e-9);  // a new head scores 0
  EXPECT_GT(result.validation.at("accuracy").as_double(), 0.95);

  ThreadPool pool(1);
  Exec exec(pool);
  RewardModel model(exec, result.model);
  EXPECT_EQ(architecture_name(model.config()), "DeepseekV3ForSequenceClassification");
  const PreferenceEncoder encoder(model.tokenizer(), "test");
  const PreferenceData data = load_preferences(pool, encoder.get(), {file}, true, 64);
  double right = 0;
  for (const Preference& pair : data.records)
    right += model.score(pair.answers[0].ids) > model.score(pair.answers[1].ids) ? 1 : 0;
  EXPECT_DOUBLE_EQ(right / static_cast<double>(data.records.size()), result.validation.at("accuracy").as_double());
  const std::vector<int> outside = {100000};
  EXPECT_THROW(model.score(outside), Error);
  EXPECT_THROW(model.score({}), Error);
  EXPECT_THROW(RewardModel(exec, f.dir / "base"), Error);

  f.run("one", file, true, /*threads=*/1);
  EXPECT_TRUE(outcome(f.dir / "one") == outcome(f.dir / "a"));
  for (const int milliseconds : {60, 130}) {
    const std::string name = str_cat("killed-", milliseconds);
    run_and_kill([&] { f.run(name, file, true); }, milliseconds);
    f.run(name, file, true, /*threads=*/1, /*resume=*/true);
    EXPECT_TRUE(outcome(f.dir / name) == outcome(f.dir / "a")) << name;
  }
}

TEST(RewardModel, LearnsLabels) {
  Fixture f;
  std::vector<Json> records;
  for (int i = 0; i < 24; ++i)
    records.push_back(
        JsonObject{{"prompt", str_cat("say ", i)}, {"completion", i % 2 == 0 ? "yes" : "no"}, {"label", i % 2 == 0}});
  const PostResult result = f.run("a", write_lines(f.dir / "labels.jsonl", records), /*pairwise=*/false);
  EXPECT_GT(result.validation.at("accuracy").as_double(), 0.95);
}

}  // namespace
}  // namespace hadal
