#pragma once
// Small models behind an engine, requests to them, and what came of these.
#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "infer/engine.h"
#include "support/small_config.h"

namespace hadal {

/// With an MTP layer. A small vocabulary: its random guesses come true now and then.
inline ModelConfig small_mtp(bool mla = true) {
  ModelConfig c = mla ? small_v3() : small_qwen3();
  c.num_nextn_predict_layers = 1, c.vocab_size = 11, c.eos_token_ids = {10};
  return c;
}

/// What came of one choice.
struct Outcome {
  std::vector<int> tokens;
  std::vector<float> logprobs;
  FinishReason finish = FinishReason::kNone;
  std::string error;
  Usage usage;
  bool operator==(const Outcome& o) const {
    return tokens == o.tokens && logprobs == o.logprobs && finish == o.finish && error == o.error;
  }
};

/// Collects the events of the requests that were made with it.
struct Collector {
  std::map<std::pair<std::uint64_t, int>, Outcome> outcomes;
  TokenSink sink() {
    return [this](const TokenEvent& e) {
      Outcome& o = outcomes[{e.request, e.choice}];
      EXPECT_EQ(o.finish, FinishReason::kNone) << "an event after the last one";
      if (e.token >= 0) o.tokens.push_back(e.token), o.logprobs.push_back(e.logprob.logprob);
      o.finish = e.finish, o.error = e.error, o.usage = e.usage;
    };
  }
};

struct Fixture {
  ThreadPool pool;
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  Model model;
  explicit Fixture(const ModelConfig& config, const char* recipe = "f32", int threads = 2)
      : pool(threads),
        exec(pool),
        ctx{exec, saved, scratch, Precision::parse(recipe), {}},
        model(config, ctx.precision, false) {
    model.init(3);
    model.refresh(exec);
  }
};

inline std::vector<int> prompt_of(std::uint64_t seed, int length, std::uint64_t num_ids = 60) {
  std::vector<int> ids;
  for (int i = 0; i < length; ++i)
    ids.push_back(static_cast<int>(random_below(seed, Stream::kTest, static_cast<std::uint64_t>(i), num_ids)));
  return ids;
}

inline Request request_of(std::uint64_t seed, int length, int max_tokens = 12, std::uint64_t num_ids = 60) {
  Request r;
  r.prompt = prompt_of(seed, length, num_ids);
  r.sampling.temperature = seed % 2 == 0 ? 0 : 0.8;
  r.sampling.top_p = 0.95, r.sampling.seed = seed;
  r.stop.max_tokens = max_tokens;
  r.logprobs = 2;
  return r;
}

/// Runs all requests to their ends; outcomes by request and choice.
inline std::map<std::pair<std::uint64_t, int>, Outcome> run(Engine& engine, std::vector<Request> requests) {
  Collector collector;
  for (Request& r : requests) {
    r.sink = collector.sink();
    engine.submit(std::move(r));
  }
  while (engine.step()) {
  }
  EXPECT_EQ(engine.stats().cache_tokens_used, 0) << "pages were lost";
  return std::move(collector.outcomes);
}

}  // namespace hadal
