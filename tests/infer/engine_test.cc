// Requests beside each other, in any order and with any cache, against the same requests alone.
#include <atomic>

#include "infer/engine_support.h"
#include "nn/generate.h"

namespace hadal {
namespace {

TEST(Engine, GreedyIsGenerate) {
  for (const ModelConfig& config : {small_v3(), small_qwen3()}) {
    Fixture f(config);
    Engine engine(f.ctx, f.model, nullptr, {});
    for (const int length : {1, 20, 96, 97, 200}) {
      Request r = request_of(2, length, 20);
      const std::vector<int> want = generate(f.ctx, f.model, r.prompt, 20, {.temperature = 0});
      const auto got = run(engine, {r});
      ASSERT_EQ(got.size(), 1U);
      EXPECT_EQ(got.begin()->second.tokens, want);
      EXPECT_EQ(got.begin()->second.finish, want.back() == 60 ? FinishReason::kStop : FinishReason::kLength);
      EXPECT_EQ(got.begin()->second.usage.prompt_tokens, length);
    }
  }
}

TEST(Engine, NothingAroundARequestChangesABitOfIt) {
  constexpr int kLengths[] = {3, 100, 1, 50, 200, 96, 17, 97};
  for (const ModelConfig& config : {small_v3(), small_qwen3()})
    for (const char* recipe : {"f32", "bf16"}) {
      std::vector<Request> all;
      for (std::uint64_t i = 0; i < std::size(kLengths); ++i) all.push_back(request_of(i, kLengths[i]));
      std::vector<Outcome> want;
      {
        Fixture f(config, recipe, 1);
        for (const Request& r : all) {
          Engine engine(f.ctx, f.model, nullptr, {.prefill_chunk = 1024, .prefix_cache = false});
          want.push_back(run(engine, {r}).begin()->second);
        }
      }
      for (const EngineOptions& options : {EngineOptions{.max_batch = 8, .prefill_chunk = 512},
                                           {.max_batch = 2, .prefill_chunk = 7},
                                           {.max_batch = 8, .prefill_chunk = 1},
                                           {.max_batch = 3, .prefill_chunk = 16, .cache_tokens = 480}}) {
        Fixture f(config, recipe, 2);
        Engine engine(f.ctx, f.model, nullptr, options);
        const auto got = run(engine, all);
        for (std::size_t i = 0; i < all.size(); ++i)
          EXPECT_TRUE(got.at({i + 1, 0}) == want[i])
              << recipe << " request " << i << " chunk " << options.prefill_chunk;
      }
    }
}

TEST(Engine, ReusesPrefixesWithoutChangingABit) {
  for (const ModelConfig& config : {small_v3(), small_qwen3()}) {
    Fixture f(config, "bf16");
    Engine engine(f.ctx, f.model, nullptr, {.max_batch = 2, .prefill_chunk = 64, .context = 512, .cache_tokens = 1200});
    const Request first = request_of(5, 250);
    Request longer = first;
    longer.prompt.resize(200);
    longer.prompt.insert(longer.prompt.end(), {1, 2, 3});
    const auto cold = run(engine, {first}), warm = run(engine, {first}), branch = run(engine, {longer});
    EXPECT_EQ(cold.begin()->second.usage.cached_tokens, 0);
    EXPECT_EQ(warm.begin()->second.usage.cached_tokens, 192);
    EXPECT_EQ(branch.begin()->second.usage.cached_tokens, 192);
    EXPECT_TRUE(cold.begin()->second == warm.begin()->second);
    Engine fresh(f.ctx, f.model, nullptr, {.prefix_cache = false});
    EXPECT_TRUE(run(fresh, {longer}).begin()->second == branch.begin()->second);
    // Other prompts push the first out again, and all of them are answered.
    for (std::uint64_t seed = 10; seed < 16; ++seed) run(engine, {request_of(seed, 300)});
    EXPECT_EQ(run(engine, {first}).begin()->second.usage.cached_tokens, 0);
  }
}

TEST(Engine, WhoLosesItsPagesGivesTheSameAnswer) {
  for (const ModelConfig& config : {small_mtp(), small_qwen3()}) {
    const auto num_ids = static_cast<std::uint64_t>(config.vocab_size - 1);
    std::vector<Request> requests;
    for (std::uint64_t i = 0; i < 6; ++i) {
      Request r = request_of(i, 50 + 20 * static_cast<int>(i), 220, num_ids);
      r.stop.ignore_eos = true;
      r.prompt_logprobs = i == 1;
      r.n = i == 2 ? 2 : 1;
      r.priority = i == 5 ? 1 : 0;
      requests.push_back(r);
    }
    Fixture f(config, "bf16");
    Engine large(f.ctx, f.model, nullptr, {.max_batch = 8});
    const auto want = run(large, requests);
    EXPECT_EQ(large.stats().preempted, 0);
    for (const char* speculation : {"off", "ngram", "auto"}) {
      Engine small(f.ctx, f.model, nullptr,
                   {.max_batch = 8, .prefill_chunk = 40, .cache_tokens = 1056, .speculation = speculation});
      const auto got = run(small, requests);
      ASSERT_EQ(got.size(), want.size());
      for (const auto& [key, outcome] : want)
        EXPECT_TRUE(outcome == got.at(key)) << speculation << " request " << key.first << " choice " << key.second;
      EXPECT_GT(small.stats().preempted, 0);
      EXPECT_EQ(small.stats().waiting, 0);
    }
  }
}

TEST(Engine, ManyMayStartThatCouldNotAllEndAtOnce) {
  Fixture f(small_v3());
  Engine engine(f.ctx, f.model, nullptr, {.max_batch = 4, .cache_tokens = 576});
  Collector collector;
  for (std::uint64_t i = 0; i < 4; ++i) {
    Request r = request_of(2 * i, 10, 400);  // each may come to need five of the six pages
    r.stop.texts = {}, r.stop.ids = {};
    r.sink = collector.sink();
    engine.submit(r);
  }
  engine.step();
  EXPECT_EQ(engine.stats().running, 3) << "a page each, and one more for each that runs";
  while (engine.step()) {
  }
  EXPECT_EQ(collector.outcomes.size(), 4U);
  EXPECT_EQ(engine.stats().cache_tokens_used, 0);
}

TEST(Engine, APromptThatGoesOnFromAnAnswerReusesIt) {
  for (const bool mla : {false, true}) {
    Fixture f(mla ? small_v3() : small_qwen3(), "bf16");
    Engine fresh(f.ctx, f.model, nullptr, {.prefix_cache = false}), plain(f.ctx, f.model, nullptr, {}),
        reusing(f.ctx, f.model, nullptr, {.reuse_answers = true});
    Request first = request_of(4, 100, 200);
    first.stop.ignore_eos = true;
    Request second = first;
    const std::vector<int> answer = run(plain, {first}).begin()->second.tokens;
    second.prompt.insert(second.prompt.end(), answer.begin(), answer.end());
    second.prompt.push_back(7);
    run(reusing, {first});
    const Outcome want = run(fresh, {second}).begin()->second, got = run(plain, {second}).begin()->second,
                  reused = run(reusing, {second}).begin()->second;
    EXPECT_TRUE(got == want);
    EXPECT_EQ(got.usage.cached_tokens, mla ? 96 : 288) << "only prompts, where decoding rounds differently";
    EXPECT_EQ(reused.usage.cached_tokens, 288);
    EXPECT_TRUE(mla || reused == want);
  }
}

TEST(Engine, SeveralAnswersShareAPrompt) {
  Fixture f(small_v3());
  Engine engine(f.ctx, f.model, nullptr, {});
  for (const int length : {5, 96, 150}) {
    Request r = request_of(7, length, 30);
    r.n = 3;
    const auto together = run(engine, {r});
    ASSERT_EQ(together.size(), 3U);
    const std::uint64_t id = together.begin()->first.first;
    for (int c = 0; c < 3; ++c) {
      Request alone = request_of(7, length, 30);
      alone.sampling.seed += static_cast<std::uint64_t>(c);
      EXPECT_TRUE(run(engine, {alone}).begin()->second == together.at({id, c})) << c;
    }
  }
}

TEST(EngineThread, AnswersManyThreads) {
  Fixture f(small_qwen3());
  Engine engine(f.ctx, f.model, nullptr, {.max_batch = 4});
  std::atomic<int> finished = 0;
  std::atomic<int> cancelled = 0;
  {
    EngineThread thread(engine);
    std::vector<std::thread> users;
    for (std::uint64_t u = 0; u < 4; ++u)
      users.emplace_back([&, u] {
        for (std::uint64_t i = 0; i < 5; ++i) {
          Request r = request_of(u * 10 + i, 20);
          r.sink = [&](const TokenEvent& e) {
            finished += e.finish != FinishReason::kNone ? 1 : 0;
            cancelled += e.finish == FinishReason::kCancelled ? 1 : 0;
          };
          const std::uint64_t id = thread.submit(std::move(r));
          if (i == 4) thread.cancel(id);
        }
      });
    for (std::thread& u : users) u.join();
  }  // what is not over ends here
  EXPECT_EQ(finished, 20);
  EXPECT_EQ(engine.stats().cache_tokens_used, 0);
}

}  // namespace
}  // namespace hadal
