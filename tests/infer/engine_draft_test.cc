// Guesses of an n-gram or of the MTP layer: no bit of an answer changes, and they are the guesses that they should be.
#include "infer/engine_support.h"

namespace hadal {
namespace {

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

}  // namespace
}  // namespace hadal
