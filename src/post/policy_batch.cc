#include "post/policy_batch.h"

#include <algorithm>
#include <numeric>

#include "post/critic.h"
#include "tensor/wide.h"

namespace hadal {
namespace {

/// The sequence of a sample without its last token, which predicts nothing.
void append_sample(PolicyMicroBatch& micro, const PolicySample& s, int index) {
  Batch& b = micro.batch;
  if (b.sequence_begins.empty()) b.sequence_begins = {0};
  const index_t begin = b.sequence_begins.back();
  const std::size_t prompt = s.prompt.size(), length = prompt + s.tokens.size() - 1;
  b.ids.insert(b.ids.end(), s.prompt.begin(), s.prompt.end());
  b.ids.insert(b.ids.end(), s.tokens.begin(), s.tokens.end() - 1);
  b.targets.insert(b.targets.end(), prompt - 1, -1);
  b.targets.insert(b.targets.end(), s.tokens.begin(), s.tokens.end());
  for (std::size_t i = 0; i < length; ++i) b.positions.push_back(static_cast<int>(i));
  for (std::size_t k = 0; k < s.tokens.size(); ++k) micro.rows.push_back(begin + static_cast<index_t>(prompt - 1 + k));
  b.sequence_begins.push_back(begin + static_cast<index_t>(length));
  micro.begins.push_back(micro.begins.back() + std::ssize(s.tokens));
  micro.samples.push_back(index);
  const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(micro.old_T, s.old_T), append(micro.ref_T, s.ref_T), append(micro.advantage_T, s.advantage_T);
  append(micro.value_T, s.value_T), append(micro.return_T, s.return_T);
}

index_t length_of(const PolicySample& s) {
  return std::ssize(s.prompt) + std::ssize(s.tokens) - 1;
}

/// Samples in the order of their lengths, cut into micro-batches.
std::vector<PolicyMicroBatch> pack(std::span<const PolicySample> samples, std::vector<int> order, index_t max_tokens) {
  const auto sample = [&](int i) -> const PolicySample& { return samples[static_cast<std::size_t>(i)]; };
  std::ranges::stable_sort(order, [&](int a, int b) { return length_of(sample(a)) < length_of(sample(b)); });
  std::vector<PolicyMicroBatch> micros;
  for (const int i : order) {
    const PolicySample& s = sample(i);
    HADAL_CHECK(!s.prompt.empty() && !s.tokens.empty(), "policy batch: sample ", i, " has ", s.prompt.size(),
                " tokens of prompt, ", s.tokens.size(), " of answer");
    const bool full = !micros.empty() && std::ssize(micros.back().batch.ids) + length_of(s) > max_tokens;
    if (micros.empty() || full) micros.emplace_back();
    append_sample(micros.back(), s, i);
  }
  for (PolicyMicroBatch& m : micros) m.batch.segment_begins = m.batch.sequence_begins;
  return micros;
}

std::vector<int> all_of(std::span<const PolicySample> samples) {
  std::vector<int> order(samples.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

std::vector<PolicyMicroBatch> make_micro_batches(std::span<const PolicySample> samples, std::span<const int> minibatch,
                                                 std::string_view aggregation, index_t max_answer, index_t max_tokens) {
  std::vector<index_t> begins = {0};
  std::vector<bool> masked;
  std::vector<index_t> first(samples.size());  // of each sample in the weights
  for (const int i : minibatch) {
    const PolicySample& s = samples[static_cast<std::size_t>(i)];
    first[static_cast<std::size_t>(i)] = begins.back();
    begins.push_back(begins.back() + std::ssize(s.tokens));
    masked.push_back(s.masked);
  }
  const std::vector<double> weights = token_weights(begins, masked, aggregation, max_answer);
  std::vector<PolicyMicroBatch> micros = pack(samples, {minibatch.begin(), minibatch.end()}, max_tokens);
  for (PolicyMicroBatch& m : micros)
    for (const int i : m.samples) {
      const auto at = weights.begin() + first[static_cast<std::size_t>(i)];
      m.weight_T.insert(m.weight_T.end(), at, at + std::ssize(samples[static_cast<std::size_t>(i)].tokens));
    }
  return micros;
}

std::vector<std::vector<double>> sample_log_probs(Context& ctx, Model& model, std::span<const PolicySample> samples,
                                                  index_t max_tokens) {
  std::vector<std::vector<double>> result(samples.size());
  for (const PolicyMicroBatch& m : pack(samples, all_of(samples), max_tokens)) {
    const ArenaScope scope(ctx.scratch);
    const View loss = ctx.temp_wide(1, std::ssize(m.batch.ids));
    model.evaluate(ctx, loss, m.batch);
    for (std::size_t j = 0; j < m.samples.size(); ++j)
      for (index_t k = m.begins[j]; k < m.begins[j + 1]; ++k) {
        const index_t row = m.rows[static_cast<std::size_t>(k)];
        result[static_cast<std::size_t>(m.samples[j])].push_back(-wide_at(loss, 0, row));
      }
  }
  return result;
}

void PolicyHeadLoss::Report::add(const Report& other) {
  policy.add(other.policy);
  entropy += other.entropy;
  value_loss += other.value_loss, value_clipped += other.value_clipped;
}

double PolicyHeadLoss::policy(const LogProbs& p) {
  const PolicyMicroBatch& m = micro_;
  const std::size_t n = m.rows.size();
  std::vector<double> fresh(n), gradient(n);
  for (std::size_t k = 0; k < n; ++k) fresh[k] = p.log_prob[static_cast<std::size_t>(m.rows[k])];
  const PolicyReport report =
      policy_loss(gradient, {m.begins, fresh, m.old_T, m.ref_T, m.advantage_T, m.weight_T}, options_.policy);
  double loss = report.loss;
  for (std::size_t k = 0; k < n; ++k) {
    const auto row = static_cast<std::size_t>(m.rows[k]);
    p.dlog_prob[row] = gradient[k];
    if (m.weight_T[k] == 0) continue;
    report_.entropy += p.entropy[row];
    p.dentropy[row] = -options_.entropy_weight * m.weight_T[k];
    loss -= options_.entropy_weight * m.weight_T[k] * p.entropy[row];
  }
  report_.policy.add(report);
  return loss;
}

double PolicyHeadLoss::run(const HeadPass& pass) {
  double loss = LogProbLoss([this](const LogProbs& p) { return policy(p); }, /*wants_entropy=*/true).run(pass);
  if (options_.critic == nullptr) return loss;
  const CriticOptions& o = options_.critic->options();
  const std::vector<double> value = options_.critic->values(pass.x_TD, micro_.rows);
  std::vector<double> dvalue(value.size());
  const ValueReport report = value_loss(dvalue, value, micro_.value_T, micro_.return_T, micro_.weight_T, o.clip);
  for (double& d : dvalue) d *= o.weight;
  options_.critic->backward(pass, micro_.rows, dvalue);
  report_.value_loss += report.loss, report_.value_clipped += report.clipped;
  return loss + o.weight * report.loss;
}

}  // namespace hadal
