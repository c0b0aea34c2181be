#include "post/rollout.h"

#include <limits>

#include "base/log.h"
#include "base/random.h"

namespace hadal {

EngineOptions rollout_engine(int max_batch, std::int64_t context) {
  return {.max_batch = max_batch,
          .prefill_chunk = 4096,  // prompts first: then all answers decode together
          .context = context,
          .max_queue = std::numeric_limits<int>::max()};
}

EngineOptions on_policy_engine(const Model& model, int max_batch, std::int64_t context) {
  EngineOptions o = rollout_engine(max_batch, context);
  if (!model.config().uses_mla()) return o;
  o.cache = "heads";
  if (cache_pages(model.config(), model.precision().compute, o) == max_batch * pages_of(context)) return o;
  log_info("rollouts: a cache with the bits of training does not fit; the latent one differs in rounding");
  o.cache = "bf16";
  return o;
}

std::vector<Rollout> sample_answers(Engine& engine, std::span<const std::vector<int>> prompts, int n,
                                    const RolloutOptions& o, std::uint64_t seed, std::uint64_t first_draw,
                                    const std::function<bool()>& stop) {
  std::vector<Rollout> rollouts(prompts.size() * static_cast<std::size_t>(n));
  std::string error;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Request request;
    request.prompt = prompts[i];
    request.n = n;
    request.sampling = {.temperature = o.temperature,
                        .top_k = o.top_k,
                        .top_p = o.top_p,
                        .seed = random_bits(seed, Stream::kSample, first_draw + i)};
    request.stop = {.max_tokens = o.max_tokens, .texts = o.stop};
    request.logprobs = 0;
    const std::span<Rollout> group = std::span(rollouts).subspan(i * static_cast<std::size_t>(n));
    request.sink = [group, &error](const TokenEvent& event) {
      Rollout& r = group[static_cast<std::size_t>(event.choice)];
      if (event.token >= 0) {
        r.tokens.push_back(event.token);
        r.logprobs.push_back(event.logprob.logprob);
      }
      if (event.finish == FinishReason::kLength) r.truncated = true;
      if (event.finish == FinishReason::kError) error = event.error;
    };
    engine.submit(std::move(request));
  }
  while (engine.step()) {
    if (!error.empty() || (stop && stop())) {
      engine.cancel_all();
      HADAL_CHECK(error.empty(), "rollout: ", error);
      return {};
    }
  }
  HADAL_CHECK(error.empty(), "rollout: ", error);
  return rollouts;
}

}  // namespace hadal
