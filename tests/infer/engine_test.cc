// Requests beside each other, in any order and with any cache, against the same requests alone.
#include "infer/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "nn/generate.h"
#include "support/byte_tokenizer.h"

namespace hadal {
namespace {

ModelConfig small_v3() {
  ModelConfig c;
  c.model_type = ModelType::kDeepseekV3;
  c.vocab_size = 61, c.hidden_size = 24, c.intermediate_size = 20, c.num_hidden_layers = 2;
  c.num_attention_heads = c.num_key_value_heads = 2, c.max_position_embeddings = 512;
  c.q_lora_rank = 12, c.kv_lora_rank = 10, c.qk_nope_head_dim = 6, c.qk_rope_head_dim = 4, c.v_head_dim = 6;
  c.n_routed_experts = 4, c.n_shared_experts = 1, c.num_experts_per_tok = 2, c.moe_intermediate_size = 12,
  c.first_k_dense_replace = 1;
  c.scoring_func = "sigmoid", c.topk_method = "noaux_tc", c.norm_topk_prob = true, c.initializer_range = 0.5;
  c.eos_token_ids = {60};
  return c;
}

ModelConfig small_qwen3() {
  ModelConfig c;
  c.model_type = ModelType::kQwen3;
  c.vocab_size = 61, c.hidden_size = 24, c.intermediate_size = 20, c.num_hidden_layers = 2;
  c.num_attention_heads = 4, c.num_key_value_heads = 2, c.head_dim = 8, c.max_position_embeddings = 512;
  c.tie_word_embeddings = true, c.initializer_range = 0.5;
  c.eos_token_ids = {60};
  return c;
}

/// With an MTP layer. A small vocabulary: its random guesses come true now and then.
ModelConfig small_mtp(bool mla = true) {
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

std::vector<int> prompt_of(std::uint64_t seed, int length, std::uint64_t num_ids = 60) {
  std::vector<int> ids;
  for (int i = 0; i < length; ++i)
    ids.push_back(static_cast<int>(random_below(seed, Stream::kTest, static_cast<std::uint64_t>(i), num_ids)));
  return ids;
}

Request request_of(std::uint64_t seed, int length, int max_tokens = 12, std::uint64_t num_ids = 60) {
  Request r;
  r.prompt = prompt_of(seed, length, num_ids);
  r.sampling.temperature = seed % 2 == 0 ? 0 : 0.8;
  r.sampling.top_p = 0.95, r.sampling.seed = seed;
  r.stop.max_tokens = max_tokens;
  r.logprobs = 2;
  return r;
}

/// Runs all requests to their ends; outcomes by request and choice.
std::map<std::pair<std::uint64_t, int>, Outcome> run(Engine& engine, std::vector<Request> requests) {
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

TEST(Engine, SpeculationChangesNoBit) {
  std::int64_t accepted = 0, drafted = 0;
  for (const ModelConfig& config : {small_v3(), small_qwen3()})
    for (const char* recipe : {"f32", "bf16"}) {
      Fixture f(config, recipe);
      Engine plain(f.ctx, f.model, nullptr, {.max_batch = 4}),
          guessing(f.ctx, f.model, nullptr, {.max_batch = 4, .speculation = "ngram"});
      std::vector<Request> requests;
      for (std::uint64_t i = 0; i < 6; ++i) {
        Request r = request_of(i, 20 + 30 * static_cast<int>(i), 120);
        // What repeats itself can be guessed.
        for (std::size_t k = 5; k < r.prompt.size(); ++k) r.prompt[k] = r.prompt[k % 5];
        r.sampling.temperature = i % 2 == 0 ? 0 : 0.3;
        r.stop.ignore_eos = i % 3 == 0;
        requests.push_back(r);
      }
      const auto want = run(plain, requests), got = run(guessing, requests);
      ASSERT_EQ(want.size(), got.size());
      for (const auto& [key, outcome] : want) {
        EXPECT_TRUE(outcome == got.at(key)) << recipe << " request " << key.first;
        accepted += got.at(key).usage.accepted_tokens, drafted += got.at(key).usage.drafted_tokens;
        EXPECT_EQ(outcome.usage.drafted_tokens, 0);
      }
      EXPECT_LE(guessing.stats().steps, plain.stats().steps);
    }
  EXPECT_GT(accepted, 100);
  EXPECT_GT(drafted, accepted) << "nothing was ever guessed wrong: the case tests little";
}

TEST(Engine, DraftsOfTheMtpLayerChangeNoBit) {
  for (const char* recipe : {"f32", "bf16"}) {
    Fixture f(small_mtp(), recipe);
    std::vector<Request> requests;
    for (std::uint64_t i = 0; i < 6; ++i) {
      Request r = request_of(i, 1 + 32 * static_cast<int>(i), 100, 10);
      r.sampling.temperature = i % 2 == 0 ? 0 : 0.7;
      r.sampling.repetition_penalty = i == 3 ? 1.2 : 1;
      r.stop.ignore_eos = i % 3 != 2;
      r.n = i == 4 ? 2 : 1;
      requests.push_back(r);
    }
    requests[5].speculate = false;
    Engine plain(f.ctx, f.model, nullptr, {.max_batch = 4});
    const auto want = run(plain, requests);
    for (const EngineOptions& options :
         {EngineOptions{.max_batch = 4, .speculation = "mtp", .draft_tokens = 1},
          {.max_batch = 2, .prefill_chunk = 7, .speculation = "mtp", .draft_tokens = 3},
          {.max_batch = 3, .prefill_chunk = 50, .cache_tokens = 480, .speculation = "mtp", .draft_tokens = 2},
          {.max_batch = 8, .speculation = "auto", .draft_tokens = 2}}) {
      Engine engine(f.ctx, f.model, nullptr, options);
      const auto got = run(engine, requests);
      ASSERT_EQ(want.size(), got.size());
      for (const auto& [key, outcome] : want)
        EXPECT_TRUE(outcome == got.at(key)) << recipe << " request " << key.first << " drafts " << options.draft_tokens;
      EXPECT_EQ(got.at({6, 0}).usage.drafted_tokens, 0) << "it asked for none";
      const EngineStats stats = engine.stats();
      EXPECT_GT(stats.accepted_tokens, 0);
      EXPECT_GT(stats.drafted_tokens, stats.accepted_tokens) << "nothing was ever guessed wrong";
    }
  }
  Fixture without(small_v3());
  EXPECT_THROW(Engine(without.ctx, without.model, nullptr, {.speculation = "mtp"}), Error);
}

/// What one draft a step would come to for a greedy answer, by the MTP layer over the whole sequence without a cache.
std::pair<int, int> drafts_by_hand(Fixture& f, const std::vector<int>& prompt, const std::vector<int>& answer) {
  std::vector<int> ids = prompt;
  ids.insert(ids.end(), answer.begin(), answer.end());
  const auto length = std::ssize(ids);
  const ArenaScope scope(f.ctx.scratch);
  const View states = f.ctx.temp(length, f.model.config().hidden_size),
             logits = f.ctx.temp_wide(length - 1, f.model.config().vocab_size);
  f.model.forward(f.ctx, states, ids);
  f.model.mtp_logits(f.ctx, logits, states, ids);
  int drafted = 0, accepted = 0;
  for (std::size_t at = prompt.size() + 1; at < ids.size(); ++at) {  // the place of the next token
    if (at + 1 == ids.size()) break;                                 // nothing may follow it
    const auto row = logits.slice_rows(static_cast<index_t>(at) - 2, 1).flat<float>();
    const auto guess = static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin());
    ++drafted;
    if (guess == ids[at]) ++accepted, ++at;
  }
  return {drafted, accepted};
}

TEST(Engine, TheMtpLayerReadsWhatWasSaidBefore) {
  int accepted = 0;
  for (const bool mla : {true, false}) {
    Fixture f(small_mtp(mla));
    Engine engine(f.ctx, f.model, nullptr,
                  {.max_batch = 3, .prefill_chunk = 31, .speculation = "mtp", .draft_tokens = 1});
    std::vector<Request> requests;
    for (const int length : {1, 2, 60, 96, 97, 200}) {
      Request r = request_of(4, length, 61, 10);
      r.stop.ignore_eos = true;
      requests.push_back(r);
    }
    for (int round = 0; round < 2; ++round) {  // the second one finds the beginnings in the cache
      const auto got = run(engine, requests);
      for (const auto& [key, outcome] : got) {
        const auto [drafted, right] = drafts_by_hand(f, requests[(key.first - 1) % 6].prompt, outcome.tokens);
        // Where prompts that begin alike share a page, its last entry knows only one of the tokens that follow.
        if (round == 1 && requests[(key.first - 1) % 6].prompt.size() > 96) continue;
        EXPECT_EQ(outcome.usage.drafted_tokens, drafted) << "mla " << mla << " request " << key.first;
        EXPECT_EQ(outcome.usage.accepted_tokens, right) << "mla " << mla << " request " << key.first;
        accepted += right;
      }
    }
  }
  EXPECT_GT(accepted, 50);
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
