#include "infer/truncation.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hadal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool likelier(const Candidate& a, const Candidate& b) {
  return a.log_weight != b.log_weight ? a.log_weight > b.log_weight : a.id < b.id;
}

double sum_of_weights(const std::vector<Candidate>& candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.weight;
  return sum;
}

/// Keeps the fewest candidates, in the order of `before`, whose weights reach `wanted`; what is kept stays by id.
/// Halves the range in which the last of them lies, so that nothing is ever sorted whole.
template <class Before>
void keep_until(std::vector<Candidate>& candidates, double wanted, Before before) {
  std::vector<Candidate> order = candidates;
  auto first = order.begin(), end = order.end();  // the sum passes `wanted` in between
  double sum = 0;
  while (end - first > 32) {
    const auto middle = first + (end - first) / 2;
    std::nth_element(first, middle, end, before);
    double below = sum;
    for (auto c = first; c != middle; ++c) below += c->weight;
    if (below < wanted) {
      first = middle;
      sum = below;
    } else {
      end = middle;
    }
  }
  std::sort(first, end, before);
  while (first != end && (sum += first->weight) < wanted) ++first;
  if (first == end) return;
  const Candidate last = *first;
  std::erase_if(candidates, [&](const Candidate& c) { return before(last, c); });
}

// Locally typical sampling (Meister et al. 2022): those whose information -ln p is nearest to the entropy.
void keep_typical(std::vector<Candidate>& candidates, double p) {
  const double sum = sum_of_weights(candidates), log_sum = std::log(sum);
  double entropy = log_sum;  // -sum p ln p, with p = weight / sum
  for (const Candidate& c : candidates)
    if (c.weight > 0) entropy -= c.weight / sum * c.log_weight;
  const auto distance = [&](const Candidate& c) { return std::fabs(log_sum - c.log_weight - entropy); };
  keep_until(candidates, p * sum, [&](const Candidate& a, const Candidate& b) {
    const double x = distance(a), y = distance(b);
    return x != y ? x < y : a.id < b.id;
  });
}

void keep_near_likeliest(std::vector<Candidate>& candidates, double below) {
  double largest = -kInfinity;
  for (const Candidate& c : candidates) largest = std::max(largest, c.log_weight);
  std::erase_if(candidates, [&](const Candidate& c) { return c.log_weight < largest - below; });
}

}  // namespace

bool truncates(const SamplingParams& p, int vocab_size) {
  return (p.top_k > 0 && p.top_k < vocab_size) || p.typical_p < 1 || p.top_p < 1 || p.min_p > 0 || p.top_n_sigma > 0;
}

void truncate(LogitRow& row, const SamplingParams& params, double inverse_temperature, std::vector<Candidate>& kept) {
  const bool by_rank = params.top_k > 0 && params.top_k < row.size(), typical = params.typical_p < 1;
  const double below_min_p = params.min_p > 0 ? -std::log(params.min_p) : kInfinity;
  const double below_sigma =
      params.top_n_sigma > 0 ? params.top_n_sigma * row.standard_deviation() * inverse_temperature : kInfinity;
  double sum = 0;  // of the weights that top_p is a share of; 0: of those that are left then
  std::vector<int> ids;
  if (by_rank) {
    row.likeliest(params.top_k, ids);
    std::ranges::sort(ids);
  } else {
    // All steps but typical_p keep the likeliest so many. Without it, what a later step removes anyway need not be
    // looked at, as long as the sum counts it. The margin leaves the decision to the steps themselves.
    double below = typical ? kInfinity : std::min(below_min_p, below_sigma);
    if (!typical && params.top_p < 1) {
      sum = row.weigh(inverse_temperature);
      // Ids below this have together at most half of what top_p leaves out.
      below = std::min(below, -std::log((1 - params.top_p) * sum / (2.0 * row.size())));
    }
    row.at_least(static_cast<double>(row.max()) - (below + 1e-3) / inverse_temperature, ids);
  }
  kept.clear();
  for (const int id : ids) {
    const double log_weight = (static_cast<double>(row[id]) - static_cast<double>(row.max())) * inverse_temperature;
    kept.push_back({id, log_weight, exp_of_negative(log_weight)});
  }
  if (typical) keep_typical(kept, params.typical_p);
  if (params.top_p < 1) keep_until(kept, params.top_p * (sum > 0 ? sum : sum_of_weights(kept)), likelier);
  keep_near_likeliest(kept, below_min_p);
  keep_near_likeliest(kept, below_sigma);
}

int draw(const std::vector<Candidate>& candidates, double u) {
  const double wanted = u * sum_of_weights(candidates);
  double sum = 0;
  int chosen = candidates.front().id;
  for (const Candidate& c : candidates) {
    if (c.weight == 0) continue;
    chosen = c.id;
    sum += c.weight;
    if (sum > wanted) break;
  }
  return chosen;
}

}  // namespace hadal
