#include "post/policy_loss.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal {
namespace {

constexpr double kMaxLogRatio = 20;

double bounded(double log_ratio) {
  return std::clamp(log_ratio, -kMaxLogRatio, kMaxLogRatio);
}

/// The divergence of one token and its derivative by the new log-probability; 0 beyond the bound of the log-ratio.
struct Divergence {
  double value = 0, derivative = 0;
};
Divergence divergence(std::string_view kind, double log_prob_new, double log_prob_ref) {
  const double raw = log_prob_ref - log_prob_new, d = bounded(raw), inside = raw == d ? 1 : 0;
  if (kind == "k1") return {-d, inside};
  if (kind == "k2") return {d * d / 2, -d * inside};
  return {std::expm1(d) - d, -std::expm1(d) * inside};
}

/// One ratio, its clipped surrogate for advantage A, and d surrogate / d log(ratio).
struct Surrogate {
  double value = 0, derivative = 0;
  bool clipped_low = false, clipped_high = false;
};
Surrogate surrogate(double ratio, double advantage, const PolicyLossOptions& o) {
  const double bound = std::clamp(ratio, 1 - o.clip_low, 1 + o.clip_high);
  if (bound * advantage < ratio * advantage)
    return {bound * advantage, 0, /*clipped_low=*/ratio<bound, /*clipped_high=*/ratio> bound};
  return {ratio * advantage, ratio * advantage};
}

void check_sizes(std::span<const double> dnew_T, const PolicyTokens& t) {
  const std::size_t n = t.new_T.size();
  HADAL_CHECK(!t.begins.empty() && t.begins.front() == 0 && static_cast<std::size_t>(t.begins.back()) == n,
              "policy loss: answers do not cover ", n, " tokens");
  HADAL_CHECK(dnew_T.size() == n && t.old_T.size() == n && t.advantage_T.size() == n && t.weight_T.size() == n &&
                  (t.ref_T.empty() || t.ref_T.size() == n),
              "policy loss: ", n, " new log-probabilities, ", t.old_T.size(), " old, ", t.ref_T.size(),
              " of the reference, ", t.advantage_T.size(), " advantages, ", t.weight_T.size(), " weights");
}

}  // namespace

double kl_estimate(std::string_view kind, double log_prob_new, double log_prob_ref) {
  return divergence(kind, log_prob_new, log_prob_ref).value;
}

void PolicyReport::add(const PolicyReport& other) {
  loss += other.loss, policy_loss += other.policy_loss;
  kl += other.kl, ratio += other.ratio;
  clipped_low += other.clipped_low, clipped_high += other.clipped_high;
  max_log_ratio = std::max(max_log_ratio, other.max_log_ratio);
  tokens += other.tokens;
}

std::vector<double> token_weights(std::span<const index_t> begins, const std::vector<bool>& masked,
                                  std::string_view aggregation, index_t max_tokens) {
  HADAL_CHECK(!begins.empty() && (masked.empty() || masked.size() + 1 == begins.size()),
              "token weights: ", begins.size(), " borders, ", masked.size(), " masks");
  const auto is_masked = [&](std::size_t i) { return !masked.empty() && masked[i]; };
  index_t tokens = 0, answers = 0;
  for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
    if (is_masked(i)) continue;
    tokens += begins[i + 1] - begins[i];
    ++answers;
  }
  std::vector<double> weight(static_cast<std::size_t>(begins.back()));
  for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
    const index_t length = begins[i + 1] - begins[i];
    if (is_masked(i) || length == 0) continue;
    const auto share = [&](index_t n) { return 1 / static_cast<double>(n); };
    const double w = aggregation == "token_mean"      ? share(tokens)
                     : aggregation == "sequence_mean" ? share(answers) * share(length)
                                                      : share(answers) * share(max_tokens);
    std::fill(weight.begin() + begins[i], weight.begin() + begins[i + 1], w);
  }
  return weight;
}

PolicyReport policy_loss(std::span<double> dnew_T, const PolicyTokens& t, const PolicyLossOptions& o) {
  check_sizes(dnew_T, t);
  PolicyReport report;
  for (std::size_t i = 0; i + 1 < t.begins.size(); ++i) {
    const auto begin = static_cast<std::size_t>(t.begins[i]), end = static_cast<std::size_t>(t.begins[i + 1]);
    // log(ratio) = scale * sum over the answer of (new - old), or of one token alone.
    double whole = 0;
    for (std::size_t k = begin; k < end; ++k) whole += t.new_T[k] - t.old_T[k];
    const double scale = o.ratio == "sequence" && end > begin ? 1 / static_cast<double>(end - begin) : 1;
    double shared = 0;  // d loss / d log(ratio) of the whole answer
    for (std::size_t k = begin; k < end; ++k) {
      dnew_T[k] = 0;
      const double weight = t.weight_T[k];
      if (weight == 0) continue;
      const double difference = t.new_T[k] - t.old_T[k];
      const double raw = o.ratio == "token" ? difference : scale * whole, log_ratio = bounded(raw);
      const double ratio = std::exp(log_ratio);
      const Surrogate s = surrogate(ratio, t.advantage_T[k], o);
      const double slope = raw == log_ratio ? -weight * s.derivative : 0;
      if (o.ratio == "token")
        dnew_T[k] += slope;
      else
        shared += slope * scale;
      report.policy_loss -= weight * s.value;
      report.loss -= weight * s.value;
      report.clipped_low += s.clipped_low ? 1 : 0;
      report.clipped_high += s.clipped_high ? 1 : 0;
      report.ratio += ratio;
      report.max_log_ratio = std::max(report.max_log_ratio, std::abs(difference));
      ++report.tokens;
      if (t.ref_T.empty()) continue;
      Divergence d = divergence(o.kl, t.new_T[k], t.ref_T[k]);
      report.kl += d.value;
      if (o.kl == "k3_weighted") {  // E over the old policy of ratio * k3 has the gradient of the divergence itself
        const double token_raw = difference, token_ratio = std::exp(bounded(token_raw));
        const double inside = token_raw == bounded(token_raw) ? 1 : 0;
        d = {token_ratio * d.value, token_ratio * (d.derivative + inside * d.value)};
      }
      dnew_T[k] += weight * o.beta * d.derivative;
      report.loss += weight * o.beta * d.value;
    }
    if (shared != 0)
      for (std::size_t k = begin; k < end; ++k) dnew_T[k] += shared;
  }
  return report;
}

ValueReport value_loss(std::span<double> dvalue_T, std::span<const double> value_T, std::span<const double> old_value_T,
                       std::span<const double> return_T, std::span<const double> weight_T, double clip) {
  const std::size_t n = value_T.size();
  HADAL_CHECK(dvalue_T.size() == n && old_value_T.size() == n && return_T.size() == n && weight_T.size() == n,
              "value loss: ", n, " values, ", old_value_T.size(), " old ones, ", return_T.size(), " returns, ",
              weight_T.size(), " weights");
  ValueReport report;
  for (std::size_t k = 0; k < n; ++k) {
    const double off = value_T[k] - return_T[k];
    double loss = off * off, slope = 2 * off;
    if (clip > 0) {
      const double near = std::clamp(value_T[k], old_value_T[k] - clip, old_value_T[k] + clip);
      const double off_near = near - return_T[k];
      if (off_near * off_near > loss) {
        // Only a value that moved past the border is worse when clipped, and the border does not move with it.
        loss = off_near * off_near, slope = 0;
        report.clipped += weight_T[k] != 0 ? 1 : 0;
      }
    }
    report.loss += weight_T[k] * loss / 2;
    dvalue_T[k] = weight_T[k] * slope / 2;
  }
  return report;
}

}  // namespace hadal
