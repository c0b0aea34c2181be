#include "kernels/router.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check_choice(const char* kernel, const RouterChoice& choice, index_t rows, index_t num_experts,
                  const RouterPolicy& p) {
  const bool f64 = choice.scores_TE.dtype == DType::kF64;
  HADAL_CHECK(p.num_experts_per_tok >= 1 && p.num_experts_per_tok <= num_experts, kernel,
              ": num_experts_per_tok=", p.num_experts_per_tok, " of ", num_experts, " experts");
  HADAL_CHECK(choice.index_TA.rows == rows && choice.index_TA.cols == p.num_experts_per_tok, kernel, ": index is ",
              choice.index_TA.rows, " x ", choice.index_TA.cols, ", want ", rows, " x ", p.num_experts_per_tok);
  check_statistic(kernel, "weight", choice.weight_TA, rows, p.num_experts_per_tok, f64);
  check_statistic(kernel, "scores", choice.scores_TE, rows, num_experts, f64);
}

}  // namespace

void router_forward(Exec& ex, const RouterChoice& choice, ConstView logits_TE, ConstView bias_E,
                    const RouterPolicy& policy) {
  constexpr const char* kName = "router_forward";
  const index_t num_experts = logits_TE.cols;
  check_statistic(kName, "logits", logits_TE, logits_TE.rows, num_experts, choice.scores_TE.dtype == DType::kF64);
  check_choice(kName, choice, logits_TE.rows, num_experts, policy);
  if (!bias_E.empty()) check_view(kName, "bias", bias_E, 1, num_experts, {DType::kF32, logits_TE.dtype});
  if (policy.topk_method != TopkMethod::kGreedy) {
    HADAL_CHECK(policy.n_group >= 1 && num_experts % policy.n_group == 0, kName, ": n_group=", policy.n_group,
                " does not divide ", num_experts, " experts");
    HADAL_CHECK(policy.topk_group >= 1 && policy.topk_group <= policy.n_group, kName,
                ": topk_group=", policy.topk_group, " of ", policy.n_group, " groups");
    HADAL_CHECK(policy.num_experts_per_tok <= policy.topk_group * (num_experts / policy.n_group), kName,
                ": num_experts_per_tok=", policy.num_experts_per_tok, " does not fit into ", policy.topk_group,
                " groups of ", num_experts / policy.n_group);
  }
  ex.kernels.router_forward(ex, choice, logits_TE, bias_E, policy);
}

void router_backward(Exec& ex, View dlogits_TE, ConstView dweight_TA, ConstView dscores_TE, const RouterChoice& choice,
                     const RouterPolicy& policy) {
  constexpr const char* kName = "router_backward";
  const bool f64 = choice.scores_TE.dtype == DType::kF64;
  check_choice(kName, choice, dlogits_TE.rows, dlogits_TE.cols, policy);
  check_statistic(kName, "dlogits", dlogits_TE, dlogits_TE.rows, dlogits_TE.cols, f64);
  check_statistic(kName, "dweight", dweight_TA, dlogits_TE.rows, policy.num_experts_per_tok, f64);
  if (!dscores_TE.empty()) check_statistic(kName, "dscores", dscores_TE, dlogits_TE.rows, dlogits_TE.cols, f64);
  ex.kernels.router_backward(ex, dlogits_TE, dweight_TA, dscores_TE, choice, policy);
}

}  // namespace hadal::kernels
