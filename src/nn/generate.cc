#include "nn/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "tensor/wide.h"

namespace hadal {
namespace {

/// Ids of the smallest set of likely tokens whose probabilities reach top_p, with their weights (unnormalised).
std::vector<std::pair<int, double>> nucleus(const std::vector<double>& weight, double top_p) {
  std::vector<int> order(weight.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)];
  });
  const double wanted = top_p * std::accumulate(weight.begin(), weight.end(), 0.0);
  std::vector<std::pair<int, double>> kept;
  double sum = 0;
  for (const int id : order) {
    kept.emplace_back(id, weight[static_cast<std::size_t>(id)]);
    sum += kept.back().second;
    if (sum >= wanted) break;
  }
  return kept;
}

}  // namespace

int sample_token(ConstView logits_1V, const SamplingOptions& options, std::uint64_t index) {
  std::vector<double> logit(static_cast<std::size_t>(logits_1V.cols));
  for (std::size_t i = 0; i < logit.size(); ++i) logit[i] = wide_at(logits_1V, 0, static_cast<index_t>(i));
  const auto best = std::max_element(logit.begin(), logit.end());
  if (options.temperature <= 0) return static_cast<int>(best - logit.begin());
  const double top = *best;
  for (double& l : logit) l = std::exp((l - top) / options.temperature);
  const auto candidates = nucleus(logit, options.top_p);
  double sum = 0;
  for (const auto& [id, weight] : candidates) sum += weight;
  double u = random_uniform(options.seed, Stream::kSample, index) * sum;
  for (const auto& [id, weight] : candidates)
    if ((u -= weight) < 0) return id;
  return candidates.back().first;
}

std::vector<int> generate(Context& ctx, Model& model, std::span<const int> prompt, int max_tokens,
                          const SamplingOptions& options, const std::function<bool(int)>& on_token) {
  HADAL_CHECK(!prompt.empty(), "generate: the prompt has no tokens");
  const std::vector<int>& stops = model.config().eos_token_ids;
  SequenceCache cache = model.make_cache(static_cast<index_t>(prompt.size()) + max_tokens);
  std::vector<int> result;
  std::vector<int> input(prompt.begin(), prompt.end());
  for (int i = 0; i < max_tokens; ++i) {
    const ArenaScope scope(ctx.scratch);
    const auto rows = static_cast<index_t>(input.size());
    const View hidden = ctx.temp(rows, model.config().hidden_size),
               logits = ctx.temp_wide(1, model.config().vocab_size);
    model.forward(ctx, hidden, input, &cache, /*absorbed=*/model.config().uses_mla() && i > 0);
    model.logits(ctx, logits, hidden.slice_rows(rows - 1, 1));
    const int token = sample_token(logits, options, static_cast<std::uint64_t>(cache.length));
    result.push_back(token);
    if (on_token && !on_token(token)) break;
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) break;
    input.assign(1, token);
  }
  return result;
}

}  // namespace hadal
