#pragma once
// Answers of the model under training, sampled by the inference engine over the very same weights.
#include <functional>
#include <span>
#include <vector>

#include "infer/engine.h"

namespace hadal {

/// One sampled answer.
struct Rollout {
  std::vector<int> tokens;      // the end-of-sequence id included, where it was drawn
  std::vector<float> logprobs;  // of each token, by the weights that drew it, at temperature 1
  bool truncated = false;       // max_tokens ended it
};

/// How answers are drawn.
struct RolloutOptions {
  int max_tokens = 256;
  double temperature = 1, top_p = 1;
  int top_k = 0;
  std::vector<std::string> stop;
  template <class V>
  void visit(V&& v) {
    v("max_tokens", max_tokens, "tokens of an answer");
    v("temperature", temperature, "1: the policy itself; 0: the likeliest token");
    v("top_p", top_p, "nucleus; 1: all");
    v("top_k", top_k, "the k likeliest tokens; 0: all");
    v("stop", stop, "texts that end an answer");
  }
};

/// Engine options for sampling many answers at once: a model trains and samples in one process, so its engine must not
/// take more than `max_batch` contexts of `context` tokens.
EngineOptions rollout_engine(int max_batch, std::int64_t context);
/// rollout_engine with a cache that has the bits of the training pass, "heads" (nn/cache.h), where max_batch contexts
/// of it fit into a quarter of memory: log-probabilities are then the same at both ends. Tells which it took.
EngineOptions on_policy_engine(const Model& model, int max_batch, std::int64_t context);

/// `n` answers to each prompt, prompt after prompt. The answers to prompt i are a function of the weights, the prompt
/// and (seed, first_draw + i), whatever is sampled beside them; draws count prompts over a run. Prompts whose n answers
/// share pages of the cache. `stop`: asked between tokens; true ends all, and the result is empty. Throws Error when an
/// answer cannot be had.
std::vector<Rollout> sample_answers(Engine& engine, std::span<const std::vector<int>> prompts, int n,
                                    const RolloutOptions& options, std::uint64_t seed, std::uint64_t first_draw,
                                    const std::function<bool()>& stop = {});

}  // namespace hadal
