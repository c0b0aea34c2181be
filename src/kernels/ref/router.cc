#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {
namespace {

/// Indices of the `num` largest values, largest first; the lower index first among equals. Minus infinity never wins,
/// and what is no number loses against all others.
template <class Real>
std::vector<int> top_k(std::vector<Real> values, int num) {
  for (Real& v : values)
    if (!(v >= std::numeric_limits<Real>::lowest()) && v != -std::numeric_limits<Real>::infinity())
      v = std::numeric_limits<Real>::lowest();
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(num));
  return order;
}

template <class Real>
void scores_of_row(std::span<Real> scores_E, std::span<const Real> logits_E, ScoringFunc func) {
  if (func == ScoringFunc::kSigmoid) {
    for (std::size_t e = 0; e < logits_E.size(); ++e) scores_E[e] = 1 / (1 + std::exp(-logits_E[e]));
    return;
  }
  const Real top = *std::max_element(logits_E.begin(), logits_E.end());
  Real sum = 0;
  for (std::size_t e = 0; e < logits_E.size(); ++e) sum += scores_E[e] = std::exp(logits_E[e] - top);
  for (Real& s : scores_E) s /= sum;
}

/// Minus infinity for the experts of groups that are not kept.
template <class Real>
void keep_best_groups(std::vector<Real>& selection_E, const RouterPolicy& policy) {
  const std::size_t num_groups = static_cast<std::size_t>(policy.n_group), size = selection_E.size() / num_groups;
  std::vector<Real> group_score(num_groups);  // of biased scores
  for (std::size_t g = 0; g < num_groups; ++g) {
    const auto first = selection_E.begin() + static_cast<std::ptrdiff_t>(g * size);
    const std::vector<Real> group(first, first + static_cast<std::ptrdiff_t>(size));
    for (const int i :
         top_k(group, policy.topk_method == TopkMethod::kNoauxTc ? std::min<int>(2, static_cast<int>(size)) : 1))
      group_score[g] += group[static_cast<std::size_t>(i)];
  }
  std::vector<bool> kept(num_groups, false);
  for (const int g : top_k(group_score, policy.topk_group)) kept[static_cast<std::size_t>(g)] = true;
  for (std::size_t e = 0; e < selection_E.size(); ++e)
    if (!kept[e / size]) selection_E[e] = -std::numeric_limits<Real>::infinity();
}

template <class Real>
void forward(const RouterChoice& choice, Mat<const Real> logits_TE, ConstView bias_E, const RouterPolicy& policy) {
  const Mat<Real> scores_TE = choice.scores_TE.as<Real>(), weight_TA = choice.weight_TA.as<Real>();
  const In bias(bias_E);
  std::vector<Real> selection_E(static_cast<std::size_t>(logits_TE.cols));
  for (index_t t = 0; t < logits_TE.rows; ++t) {
    scores_of_row(scores_TE.row(t), logits_TE.row(t), policy.scoring_func);
    const bool biased = policy.topk_method == TopkMethod::kNoauxTc && !bias_E.empty();
    for (index_t e = 0; e < logits_TE.cols; ++e)
      selection_E[static_cast<std::size_t>(e)] = scores_TE(t, e) + (biased ? static_cast<Real>(bias(0, e)) : Real{0});
    if (policy.topk_method != TopkMethod::kGreedy) keep_best_groups(selection_E, policy);
    const std::vector<int> chosen = top_k(selection_E, policy.num_experts_per_tok);
    Real sum = 0;
    for (const int e : chosen) sum += scores_TE(t, e);
    const Real factor = policy.routed_scaling_factor / (policy.norm_topk_prob ? sum + Real(1e-20) : Real{1});
    for (index_t a = 0; a < policy.num_experts_per_tok; ++a) {
      choice.index_TA(t, a) = chosen[static_cast<std::size_t>(a)];
      weight_TA(t, a) = scores_TE(t, chosen[static_cast<std::size_t>(a)]) * factor;
    }
  }
}

}  // namespace

void router_forward(Exec& /*ex*/, const RouterChoice& choice, ConstView logits_TE, ConstView bias_E,
                    const RouterPolicy& policy) {
  if (logits_TE.dtype == DType::kF64) return forward<double>(choice, logits_TE.as<double>(), bias_E, policy);
  forward<float>(choice, logits_TE.as<float>(), bias_E, policy);
}

// In the forward pass: w_a = factor * s_a, or factor * s_a / (sum of the chosen s + 1e-20).
void router_backward(Exec& /*ex*/, View dlogits_TE, ConstView dweight_TA, ConstView dscores_TE,
                     const RouterChoice& choice, const RouterPolicy& policy) {
  const In scores(choice.scores_TE), dweight(dweight_TA), dscores(dscores_TE);
  const Out dlogits(dlogits_TE);
  const index_t num_experts = dlogits_TE.cols;
  const auto scaling = static_cast<double>(policy.routed_scaling_factor);
  std::vector<double> ds_E(static_cast<std::size_t>(num_experts));
  for (index_t t = 0; t < dlogits_TE.rows; ++t) {
    for (index_t e = 0; e < num_experts; ++e)
      ds_E[static_cast<std::size_t>(e)] = dscores_TE.empty() ? 0 : dscores(t, e);
    const std::span<int> chosen = choice.index_TA.row(t);
    double sum = 1e-20, dw_s = 0;
    for (index_t a = 0; a < choice.index_TA.cols; ++a) {
      sum += scores(t, chosen[static_cast<std::size_t>(a)]);
      dw_s += dweight(t, a) * scores(t, chosen[static_cast<std::size_t>(a)]);
    }
    for (index_t a = 0; a < choice.index_TA.cols; ++a)
      ds_E[static_cast<std::size_t>(chosen[static_cast<std::size_t>(a)])] +=
          scaling * (policy.norm_topk_prob ? (dweight(t, a) - dw_s / sum) / sum : dweight(t, a));
    double ds_s = 0;
    for (index_t e = 0; e < num_experts; ++e) ds_s += ds_E[static_cast<std::size_t>(e)] * scores(t, e);
    for (index_t e = 0; e < num_experts; ++e) {
      const double s = scores(t, e), ds = ds_E[static_cast<std::size_t>(e)];
      dlogits.set(t, e, policy.scoring_func == ScoringFunc::kSigmoid ? ds * s * (1 - s) : s * (ds - ds_s));
    }
  }
}

}  // namespace hadal::kernels::ref
