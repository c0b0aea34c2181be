#include "kernels/balance_loss.h"

#include <algorithm>
#include <vector>

#include "kernels/check.h"

namespace hadal::kernels {
namespace {

/// How often each expert was chosen in rows [begin, end), and how many of these tokens went to each group.
struct Counts {
  std::vector<double> expert_E, group_G;
};
Counts count_choices(Mat<const int> index_TA, index_t begin, index_t end, index_t num_experts, index_t num_groups) {
  Counts counts{std::vector<double>(static_cast<std::size_t>(num_experts)),
                std::vector<double>(static_cast<std::size_t>(num_groups))};
  std::vector<index_t> last_token(static_cast<std::size_t>(num_groups), -1);
  for (index_t t = begin; t < end; ++t) {
    for (const int e : index_TA.row(t)) {
      if (e < 0) continue;
      const auto g = static_cast<std::size_t>(e / (num_experts / num_groups));
      counts.expert_E[static_cast<std::size_t>(e)] += 1;
      if (std::exchange(last_token[g], t) != t) counts.group_G[g] += 1;
    }
  }
  return counts;
}

/// How often each expert is among the `num` best scores of its row; the lower index first among equals.
template <class Real>
std::vector<double> count_best(Mat<const Real> scores_TE, index_t begin, index_t end, index_t num) {
  std::vector<double> count_E(static_cast<std::size_t>(scores_TE.cols));
  std::vector<std::pair<Real, index_t>> best(static_cast<std::size_t>(num));  // largest first
  for (index_t t = begin; t < end; ++t) {
    const std::span<const Real> row = scores_TE.row(t);
    index_t filled = 0;
    for (index_t e = 0; e < scores_TE.cols; ++e) {
      const Real s = row[static_cast<std::size_t>(e)];
      if (filled == num && !(s > best.back().first)) continue;
      if (filled < num) ++filled;
      index_t at = filled - 1;
      for (; at > 0 && s > best[static_cast<std::size_t>(at) - 1].first; --at)
        best[static_cast<std::size_t>(at)] = best[static_cast<std::size_t>(at) - 1];
      best[static_cast<std::size_t>(at)] = {s, e};
    }
    for (index_t a = 0; a < filled; ++a)
      count_E[static_cast<std::size_t>(best[static_cast<std::size_t>(a)].second)] += 1;
  }
  return count_E;
}

/// The losses of one sequence. Both kinds are sums of coefficient_e * mean_t(score_te): of the scores themselves, and
/// of the scores divided by their sum over the experts.
template <class Real>
double sequence_loss(Mat<Real> dscores_TE, Mat<const Real> scores_TE, Mat<const int> index_TA, index_t begin,
                     index_t end, const BalanceLossConfig& config, double grad_scale) {
  const index_t num_experts = scores_TE.cols, num_groups = config.num_groups, group_size = num_experts / num_groups;
  const auto tokens = static_cast<double>(end - begin);
  const double per_choice =
      static_cast<double>(num_experts) / (static_cast<double>(index_TA.cols) * tokens);  // N / (A T)
  std::vector<double> plain_E(static_cast<std::size_t>(num_experts)), normal_E(plain_E.size());
  const Counts counts = count_choices(index_TA, begin, end, num_experts, num_groups);
  for (index_t g = 0; g < num_groups; ++g) {
    double f_mean = 0;
    for (index_t e = g * group_size; e < (g + 1) * group_size; ++e)
      f_mean += per_choice * counts.expert_E[static_cast<std::size_t>(e)] / static_cast<double>(group_size);
    const double f_sent =
        static_cast<double>(num_groups) / (config.topk_group * tokens) * counts.group_G[static_cast<std::size_t>(g)];
    for (index_t e = g * group_size; e < (g + 1) * group_size; ++e)
      plain_E[static_cast<std::size_t>(e)] =
          static_cast<double>(config.expert_alpha) * per_choice * counts.expert_E[static_cast<std::size_t>(e)] +
          static_cast<double>(config.device_alpha) * f_mean + static_cast<double>(config.communication_alpha) * f_sent;
  }
  if (config.sequence_alpha != 0) {
    normal_E = count_best(scores_TE, begin, end, index_TA.cols);
    for (double& f : normal_E) f *= static_cast<double>(config.sequence_alpha) * per_choice;
  }
  double loss = 0;
  for (index_t t = begin; t < end; ++t) {
    const std::span<const Real> s = scores_TE.row(t);
    double plain = 0, normal = 0, total = 0;
    for (std::size_t e = 0; e < s.size(); ++e) {
      const auto score = static_cast<double>(s[e]);
      plain += plain_E[e] * score;
      normal += normal_E[e] * score;
      total += score;
    }
    const double mean_f = total > 0 ? normal / total : 0, inverse = total > 0 ? 1 / total : 0;
    loss += (plain + mean_f) / tokens;
    if (dscores_TE.data == nullptr) continue;
    // d/ds_i of (sum_e f_e s_e) / (sum_e s_e) = (f_i - mean_f) / sum_e s_e.
    const std::span<Real> ds = dscores_TE.row(t);
    for (std::size_t e = 0; e < s.size(); ++e)
      ds[e] += static_cast<Real>(grad_scale / tokens * (plain_E[e] + (normal_E[e] - mean_f) * inverse));
  }
  return loss;
}

template <class Real>
double all_sequences(Exec& ex, Mat<Real> dscores_TE, Mat<const Real> scores_TE, Mat<const int> index_TA,
                     std::span<const index_t> begins, const BalanceLossConfig& config, double grad_scale) {
  const auto num = static_cast<index_t>(begins.size()) - 1;
  std::vector<double> losses(static_cast<std::size_t>(num));
  ex.pool.parallel_for(num, [&](index_t i, int /*worker*/) {
    const auto s = static_cast<std::size_t>(i);
    if (begins[s + 1] > begins[s])
      losses[s] = sequence_loss(dscores_TE, scores_TE, index_TA, begins[s], begins[s + 1], config,
                                grad_scale / static_cast<double>(num));
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum / static_cast<double>(num);
}

}  // namespace

double balance_loss(Exec& ex, View dscores_TE, ConstView scores_TE, Mat<const int> index_TA,
                    std::span<const index_t> sequence_begins, const BalanceLossConfig& config, double grad_scale) {
  constexpr const char* kName = "balance_loss";
  const bool f64 = scores_TE.dtype == DType::kF64;
  check_statistic(kName, "scores", scores_TE, scores_TE.rows, scores_TE.cols, f64);
  if (!dscores_TE.empty()) check_statistic(kName, "dscores", dscores_TE, scores_TE.rows, scores_TE.cols, f64);
  HADAL_CHECK(index_TA.rows == scores_TE.rows && index_TA.cols >= 1 && index_TA.cols <= scores_TE.cols, kName,
              ": index is ", index_TA.rows, " x ", index_TA.cols, ", scores ", scores_TE.rows, " x ", scores_TE.cols);
  HADAL_CHECK(config.num_groups >= 1 && scores_TE.cols % config.num_groups == 0 && config.topk_group >= 1, kName, ": ",
              config.num_groups, " groups (limit ", config.topk_group, ") of ", scores_TE.cols, " experts");
  HADAL_CHECK(sequence_begins.size() >= 2 && sequence_begins.front() == 0 && sequence_begins.back() == scores_TE.rows &&
                  std::is_sorted(sequence_begins.begin(), sequence_begins.end()),
              kName, ": sequence_begins does not cover the ", scores_TE.rows, " rows in order");
  for (index_t t = 0; t < index_TA.rows; ++t)
    for (const int e : index_TA.row(t))
      HADAL_CHECK(e >= -1 && e < scores_TE.cols, kName, ": expert ", e, " of ", scores_TE.cols, " for token ", t);
  if (f64) {
    const Mat<double> dscores = dscores_TE.empty() ? Mat<double>{} : dscores_TE.as<double>();
    return all_sequences(ex, dscores, scores_TE.as<double>(), index_TA, sequence_begins, config, grad_scale);
  }
  const Mat<float> dscores = dscores_TE.empty() ? Mat<float>{} : dscores_TE.as<float>();
  return all_sequences(ex, dscores, scores_TE.as<float>(), index_TA, sequence_begins, config, grad_scale);
}

}  // namespace hadal::kernels
