#pragma once
#include <functional>

#include "nn/model.h"

namespace hadal {

/// How the next token is chosen from a row of logits. temperature 0: the most likely one.
struct SamplingOptions {
  double temperature = 1, top_p = 1;
  std::uint64_t seed = 0;
};

/// The token that `options` choose; `index` is the position in the sequence, so a seed gives the same text whatever
/// else runs. logits: one row.
int sample_token(ConstView logits_1V, const SamplingOptions& options, std::uint64_t index);

/// Continues `prompt` by at most max_tokens, one at a time, over a cache of its own (MLA in absorbed form). Stops after
/// an id of config().eos_token_ids, which is included. on_token (may be empty) returns false to stop.
std::vector<int> generate(Context& ctx, Model& model, std::span<const int> prompt, int max_tokens,
                          const SamplingOptions& options, const std::function<bool(int)>& on_token = {});

}  // namespace hadal
