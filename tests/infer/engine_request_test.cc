// What a request may ask for, and how it ends.
#include <cmath>

#include "infer/engine_support.h"
#include "support/byte_tokenizer.h"

namespace hadal {
namespace {

TEST(Engine, EndsWhereItWasTold) {
  Fixture f(small_v3());
  Engine engine(f.ctx, f.model, nullptr, {});
  Request r = request_of(2, 10, 30);
  const std::vector<int> free_run = run(engine, {r}).begin()->second.tokens;
  ASSERT_GT(free_run.size(), 5U);
  r.stop.ids = {free_run[4]};
  const auto first = std::find(free_run.begin(), free_run.end(), free_run[4]);
  const Outcome stopped = run(engine, {r}).begin()->second;
  EXPECT_EQ(stopped.tokens, std::vector<int>(free_run.begin(), first + 1));
  EXPECT_EQ(stopped.finish, FinishReason::kStop);
  r.stop.min_tokens = 20;
  const Outcome longer = run(engine, {r}).begin()->second;
  EXPECT_GE(longer.tokens.size(), 20U);
  EXPECT_EQ(std::find(longer.tokens.begin(), longer.tokens.begin() + 20, free_run[4]), longer.tokens.begin() + 20);
  r.stop = {.max_tokens = 0};
  const Outcome none = run(engine, {r}).begin()->second;
  EXPECT_TRUE(none.tokens.empty());
  EXPECT_EQ(none.finish, FinishReason::kLength);
}

TEST(Engine, TellsTheLogprobsOfThePrompt) {
  Fixture f(small_qwen3());
  Engine engine(f.ctx, f.model, nullptr, {.prefill_chunk = 13});
  Request r = request_of(4, 50, 1);
  r.prompt_logprobs = true;
  const auto got = run(engine, {r});
  const Outcome& prompt = got.at({1, -1});
  EXPECT_EQ(prompt.tokens, std::vector<int>(r.prompt.begin() + 1, r.prompt.end()));
  const View hidden = f.ctx.keep(50, 24), logits = f.ctx.keep_wide(50, 61);
  f.model.forward(f.ctx, hidden, r.prompt);
  f.model.logits(f.ctx, logits, hidden);
  for (index_t t = 0; t + 1 < 50; ++t) {
    double sum = 0;
    for (index_t v = 0; v < 61; ++v) sum += std::exp(static_cast<double>(logits.as<float>()(t, v)));
    const double want = logits.as<float>()(t, r.prompt[static_cast<std::size_t>(t + 1)]) - std::log(sum);
    EXPECT_NEAR(prompt.logprobs[static_cast<std::size_t>(t)], want, 1e-5) << t;
  }
}

TEST(Engine, RefusesWhatItCouldNeverAnswer) {
  Fixture f(small_v3());
  Engine engine(f.ctx, f.model, nullptr, {.max_batch = 2, .context = 128, .cache_tokens = 192, .max_queue = 2});
  const auto refused = [&](const std::function<void(Request&)>& change) {
    Request r = request_of(1, 10);
    change(r);
    EXPECT_THROW(engine.submit(r), Error);
  };
  refused([](Request& r) { r.prompt.clear(); });
  refused([](Request& r) { r.prompt[3] = 61; });
  refused([](Request& r) { r.prompt[3] = -1; });
  refused([](Request& r) { r.stop.max_tokens = 119; });
  refused([](Request& r) { r.stop.max_tokens = -1; });
  refused([](Request& r) { r.n = 3; });
  refused([](Request& r) { r.n = 0; });
  refused([](Request& r) { r.n = 2, r.stop.max_tokens = 100; });
  refused([](Request& r) { r.sampling.temperature = std::nan(""); });
  refused([](Request& r) { r.stop.texts = {"x"}; });
  refused([](Request& r) { r.stop.ids = {99}; });
  engine.submit(request_of(1, 10));
  engine.submit(request_of(1, 10));
  EXPECT_THROW(engine.submit(request_of(1, 10)), QueueFull);
  EXPECT_EQ(engine.stats().waiting, 2);
  while (engine.step()) {
  }
  EXPECT_EQ(engine.stats().finished, 2);
}

/// A model of bytes whose tokenizer has <think> and </think>.
struct ByteFixture : Fixture {
  Tokenizer tokenizer{byte_tokenizer_files()};
  ByteFixture() : Fixture(config_of_bytes()) {}
  static ModelConfig config_of_bytes() {
    ModelConfig c = small_qwen3();
    c.vocab_size = 264, c.eos_token_ids = {kByteEos};
    return c;
  }
  /// Never ends by itself, nor its thinking.
  Request request(double temperature) {
    Request r;
    r.prompt = {kByteBos, 'h', 'i', kByteThink};
    r.sampling.temperature = temperature, r.sampling.seed = 5;
    r.sampling.logit_bias = {{kByteThinkEnd, -INFINITY}, {kByteThink, -INFINITY}};
    r.stop = {.max_tokens = 120, .ignore_eos = true};
    r.logprobs = 0;
    return r;
  }
};

TEST(Engine, EndsThinkingAtItsBudget) {
  ByteFixture f;
  for (const char* speculation : {"off", "ngram"})
    for (const int budget : {0, 1, 40}) {
      Engine engine(f.ctx, f.model, &f.tokenizer, {.speculation = speculation});
      Request r = f.request(0.9);
      const Outcome free_run = run(engine, {r}).begin()->second;
      EXPECT_EQ(free_run.usage.thinking_tokens, 0) << "nobody watched";
      r.thinking = ThinkingParams{.inside = true, .budget = budget, .end = "\n</think>\n\n"};
      const Outcome bound = run(engine, {r}).begin()->second;
      const auto cut = static_cast<std::ptrdiff_t>(budget);
      EXPECT_TRUE(std::equal(bound.tokens.begin(), bound.tokens.begin() + cut, free_run.tokens.begin()));
      const std::vector<int> end(bound.tokens.begin() + cut, bound.tokens.begin() + cut + 4);
      EXPECT_EQ(end, (std::vector<int>{'\n', kByteThinkEnd, '\n', '\n'}));
      EXPECT_EQ(bound.tokens.size(), 120U);
      EXPECT_TRUE(bound.usage.thinking_cut);
      EXPECT_EQ(bound.usage.thinking_tokens, budget + 1) << "with the line break before the tag";
      for (const float logprob : bound.logprobs) EXPECT_LE(logprob, 0);
      r.thinking->budget = 1000;
      EXPECT_EQ(run(engine, {r}).begin()->second.tokens, free_run.tokens);
    }
  Engine engine(f.ctx, f.model, &f.tokenizer, {}), without(f.ctx, f.model, nullptr, {});
  Request r = f.request(0);
  r.thinking = ThinkingParams{.end = ""};
  EXPECT_THROW(engine.submit(r), Error);
  r.thinking = ThinkingParams{};
  EXPECT_THROW(without.submit(r), Error);
}

TEST(Engine, EndsWhatGoesRoundInCircles) {
  ByteFixture f;
  Engine engine(f.ctx, f.model, &f.tokenizer, {});
  Request r = f.request(0);
  r.sampling.logit_bias['x'] = 1000;  // "xxxx..."
  r.stop.max_tokens = 400;
  EXPECT_EQ(run(engine, {r}).begin()->second.finish, FinishReason::kLength);
  r.stop.repetition_guard = 50;
  const Outcome answer = run(engine, {r}).begin()->second;
  EXPECT_EQ(answer.finish, FinishReason::kRepetition);
  EXPECT_EQ(answer.tokens.size(), 50U);
  r.thinking = ThinkingParams{.inside = true};
  const Outcome thought = run(engine, {r}).begin()->second;  // first the thinking ends, then the answer
  EXPECT_EQ(thought.finish, FinishReason::kRepetition);
  EXPECT_TRUE(thought.usage.thinking_cut);
  EXPECT_EQ(thought.tokens.size(), 50U + 4 + 50);
  r.stop.repetition_guard = -1;
  EXPECT_THROW(engine.submit(r), Error);
}

TEST(Engine, CancelEndsOneRequestAndNoOther) {
  Fixture f(small_v3());
  Engine engine(f.ctx, f.model, nullptr, {.max_batch = 1, .prefill_chunk = 16});
  Collector collector;
  std::vector<std::uint64_t> ids;
  for (std::uint64_t i = 0; i < 3; ++i) {
    Request r = request_of(2, 40, 30);
    r.sink = collector.sink();
    ids.push_back(engine.submit(r));
  }
  engine.step();
  engine.step();
  engine.cancel(ids[0]);  // in its prompt
  engine.cancel(ids[2]);  // still waiting
  engine.cancel(77);
  while (engine.step()) {
  }
  EXPECT_EQ(collector.outcomes.at({ids[0], 0}).finish, FinishReason::kCancelled);
  EXPECT_EQ(collector.outcomes.at({ids[2], 0}).finish, FinishReason::kCancelled);
  EXPECT_NE(collector.outcomes.at({ids[1], 0}).finish, FinishReason::kCancelled);
  EXPECT_EQ(engine.stats().cache_tokens_used, 0);
  EXPECT_EQ(engine.stats().waiting, 0);
}

TEST(Engine, HigherPriorityGoesFirst) {
  Fixture f(small_v3());
  Engine engine(f.ctx, f.model, nullptr, {.max_batch = 1});
  std::vector<int> order;
  for (const int priority : {0, 2, 1, 2}) {
    Request r = request_of(2, 5, 2);
    r.stop.ignore_eos = true;
    r.priority = priority;
    r.sink = [&order, priority](const TokenEvent& e) {
      if (e.finish != FinishReason::kNone) order.push_back(priority);
    };
    engine.submit(r);
  }
  while (engine.step()) {
  }
  EXPECT_EQ(order, (std::vector<int>{2, 2, 1, 0}));
}

}  // namespace
}  // namespace hadal
