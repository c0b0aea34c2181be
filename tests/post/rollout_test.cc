#include "post/rollout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "support/small_config.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

ModelConfig small_config(bool moe) {
  ModelConfig c = moe ? small_v3() : small_qwen3();
  c.initializer_range = 0.4;
  return c;
}

/// A model that can be trained, as rollouts meet it.
struct Policy {
  ThreadPool pool;
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  Model model;
  explicit Policy(bool moe, const char* recipe = "f32", int threads = 2)
      : pool(threads),
        exec(pool),
        ctx{exec, saved, scratch, Precision::parse(recipe), {}},
        model(small_config(moe), ctx.precision, /*train=*/true) {
    model.init(3);
    model.refresh(exec);
  }
  /// Log-probabilities of the answer's tokens as training sees them.
  std::vector<float> training_logprobs(const std::vector<int>& prompt, const std::vector<int>& answer) {
    std::vector<int> ids = prompt;
    ids.insert(ids.end(), answer.begin(), answer.end());
    Batch batch;
    batch.ids.assign(ids.begin(), ids.end() - 1);
    batch.targets.assign(ids.begin() + 1, ids.end());
    for (int i = 0; i < std::ssize(batch.ids); ++i) batch.positions.push_back(i);
    batch.sequence_begins = batch.segment_begins = {0, std::ssize(batch.ids)};
    ctx.scratch.reset();
    const View loss = ctx.temp_wide(1, std::ssize(batch.ids));
    model.evaluate(ctx, loss, batch);
    std::vector<float> result;
    for (auto i = std::ssize(prompt) - 1; i < std::ssize(batch.ids); ++i) result.push_back(-loss.as<float>()(0, i));
    return result;
  }
};

std::vector<std::vector<int>> some_prompts() {
  std::vector<std::vector<int>> prompts;
  for (const int length : {3, 96, 1, 100, 20}) {
    std::vector<int>& ids = prompts.emplace_back();
    for (int i = 0; i < length; ++i)
      ids.push_back(static_cast<int>(random_below(5, Stream::kTest, static_cast<std::uint64_t>(100 * length + i), 60)));
  }
  return prompts;
}

std::vector<Rollout> sample(Policy& p, std::span<const std::vector<int>> prompts, int n, int max_batch,
                            std::uint64_t first = 0) {
  Engine engine(p.ctx, p.model, nullptr, rollout_engine(max_batch, 160));
  return sample_answers(engine, prompts, n, {.max_tokens = 24}, 11, first);
}

bool equal(std::span<const Rollout> a, std::span<const Rollout> b) {
  return std::ranges::equal(a, b, [](const Rollout& x, const Rollout& y) {
    return x.tokens == y.tokens && x.logprobs == y.logprobs && x.truncated == y.truncated;
  });
}

TEST(Rollout, LogprobsAreThoseOfTraining) {
  const std::vector<std::vector<int>> prompts = some_prompts();
  for (const bool moe : {false, true}) {
    Policy p(moe);
    const std::vector<Rollout> rollouts = sample(p, prompts, 4, 32);
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      const std::vector<float> want = p.training_logprobs(prompts[i / 4], rollouts[i].tokens);
      ASSERT_EQ(rollouts[i].logprobs.size(), want.size());
      for (std::size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(rollouts[i].logprobs[k], want[k], 1e-5);
      EXPECT_EQ(rollouts[i].truncated, rollouts[i].tokens.back() != 60);
    }
  }
}

TEST(Rollout, BatchAndThreadsChangeNoBit) {
  const std::vector<std::vector<int>> prompts = some_prompts();
  Policy two(true), one(true, "f32", 1);
  const std::vector<Rollout> all = sample(two, prompts, 4, 64);
  EXPECT_TRUE(equal(all, sample(two, prompts, 4, 4)));
  EXPECT_TRUE(equal(all, sample(one, prompts, 4, 7)));
  const std::vector<Rollout> last = sample(two, std::span(prompts).subspan(3), 4, 64, 3);
  EXPECT_TRUE(equal(std::span(all).subspan(12), last));
  EXPECT_FALSE(equal(all, sample(two, prompts, 4, 64, 1)));
}

TEST(Rollout, FollowsTheWeights) {
  const std::vector<std::vector<int>> prompts = some_prompts();
  Policy p(true);
  Engine engine(p.ctx, p.model, nullptr, rollout_engine(32, 160));
  const auto draw = [&] { return sample_answers(engine, prompts, 2, {.max_tokens = 24}, 11, 0); };
  const std::vector<Rollout> before = draw();
  EXPECT_TRUE(equal(before, draw()));
  p.model.init(4);
  engine.weights_changed();
  const std::vector<Rollout> after = draw();
  EXPECT_FALSE(equal(before, after));
  EXPECT_TRUE(equal(after, sample(p, prompts, 2, 32)));  // an engine that never saw the old weights
}

TEST(Rollout, StopLeavesTheEngineUsable) {
  const std::vector<std::vector<int>> prompts = some_prompts();
  Policy p(false);
  Engine engine(p.ctx, p.model, nullptr, rollout_engine(8, 160));
  int steps = 0;
  EXPECT_TRUE(sample_answers(engine, prompts, 2, {.max_tokens = 24}, 11, 0, [&] { return ++steps == 3; }).empty());
  EXPECT_EQ(engine.stats().cache_tokens_used, 0);
  EXPECT_TRUE(equal(sample_answers(engine, prompts, 2, {.max_tokens = 24}, 11, 0), sample(p, prompts, 2, 8)));
}

TEST(Rollout, ImpossibleRequestsAreErrors) {
  Policy p(false);
  Engine engine(p.ctx, p.model, nullptr, rollout_engine(8, 160));
  const std::vector<std::vector<int>> prompts = {std::vector<int>(150, 1)};
  EXPECT_NE(error_of([&] { sample_answers(engine, prompts, 2, {.max_tokens = 24}, 1, 0); }).find("context"),
            std::string::npos);
  EXPECT_THROW(sample_answers(engine, some_prompts(), 9, {.max_tokens = 24}, 1, 0), Error);
}

}  // namespace
}  // namespace hadal
