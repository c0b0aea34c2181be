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

/// Keeps, in the order of `before`, the fewest candidates whose weights reach `wanted`. Sorts pieces that grow, because
/// a few candidates are mostly enough.
template <class Before>
void keep_until(std::vector<Candidate>& candidates, double wanted, Before before) {
  double sum = 0;
  std::size_t done = 0;
  for (std::size_t piece = 64; done < candidates.size(); piece *= 4) {
    const std::size_t end = std::min(candidates.size(), done + piece);
    const auto first = candidates.begin() + static_cast<std::ptrdiff_t>(done),
               middle = candidates.begin() + static_cast<std::ptrdiff_t>(end);
    if (end < candidates.size()) std::nth_element(first, middle, candidates.end(), before);
    std::sort(first, middle, before);
    for (; done < end; ++done) {
      sum += candidates[done].weight;
      if (sum < wanted) continue;
      candidates.resize(done + 1);
      return;
    }
  }
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
  if (by_rank || typical || params.top_p < 1) std::ranges::sort(kept, {}, &Candidate::id);
}

int draw(const std::vector<Candidate>& candidates, double u) {
  const double wanted = u * sum_of_weights(candidates);
  double sum = 0;
  int chosen = candidates.front().id;
  for (const Candidate& c : candidates) {
    if (c.weight == 0) continue;
    chosen = c.id;
    if ((sum += c.weight) > wanted) break;
  }
  return chosen;
}

}  // namespace hadal
