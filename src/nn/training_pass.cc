// Forward and backward of one micro-batch: Model's training half.
#include <cstring>
#include <numeric>

#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "nn/model.h"

namespace hadal {
namespace {

std::vector<kernels::AttentionSegment> segments_of(const Batch& batch) {
  std::vector<kernels::AttentionSegment> segments;
  for (std::size_t i = 0; i + 1 < batch.segment_begins.size(); ++i) {
    const index_t begin = batch.segment_begins[i], length = batch.segment_begins[i + 1] - begin;
    segments.push_back({begin, length, begin, length});
  }
  return segments;
}

/// values[i + ahead] of the same segment, or `none` where the segment ends before.
std::vector<int> shifted(std::span<const int> values, std::span<const index_t> begins, index_t ahead, int none) {
  std::vector<int> result(values.size(), none);
  for (std::size_t s = 0; s + 1 < begins.size(); ++s)
    for (index_t i = begins[s]; i + ahead < begins[s + 1]; ++i)
      result[static_cast<std::size_t>(i)] = values[static_cast<std::size_t>(i + ahead)];
  return result;
}

index_t count_targets(std::span<const int> targets) {
  index_t count = 0;
  for (const int t : targets) count += t >= 0 ? 1 : 0;
  return count;
}

void add_load(LossReport& report, const MoeSaved& saved) {
  std::vector<double> load(saved.plan.offsets.size() - 1);
  for (std::size_t e = 0; e < load.size(); ++e)
    load[e] = static_cast<double>(saved.plan.offsets[e + 1] - saved.plan.offsets[e]);
  report.expert_load.push_back(std::move(load));
  report.balance += saved.balance_loss;
}

}  // namespace

ForwardBatch Model::forward_batch(const Batch& batch, std::span<const kernels::AttentionSegment> segments) {
  const std::size_t num_tokens = batch.ids.size();
  HADAL_CHECK(num_tokens > 0 && batch.targets.size() == num_tokens && batch.positions.size() == num_tokens,
              "batch: ", num_tokens, " ids, ", batch.targets.size(), " targets, ", batch.positions.size(),
              " positions");
  int last = 0;
  for (const int p : batch.positions) last = std::max(last, p);
  ensure_positions(index_t{last} + 1);
  return {batch.positions, segments, batch.sequence_begins, rope_table_.view(), {}, 0};
}

LossReport Model::train_micro_batch(Context& ctx, const Batch& batch, const LossPolicy& policy) {
  CrossEntropyLoss loss(policy.loss_scale);
  LossReport report = train_micro_batch(ctx, batch, policy, loss);
  report.main = loss.sum();
  return report;
}

LossReport Model::train_micro_batch(Context& ctx, const Batch& batch, const LossPolicy& policy, HeadLoss& head_loss) {
  HADAL_CHECK(!embedding_grad_.empty(), "train: this model was built for inference");
  HADAL_CHECK(policy.mtp_weight.size() <= mtp_.size(), "train: ", policy.mtp_weight.size(), " MTP weights for ",
              mtp_.size(), " modules");
  ctx.saved.reset();
  ctx.scratch.reset();
  const auto num_tokens = static_cast<index_t>(batch.ids.size());
  const index_t hidden = config_.hidden_size;
  const std::size_t depths = policy.mtp_weight.size();
  const std::vector<kernels::AttentionSegment> segments = segments_of(batch);
  const ForwardBatch fb = forward_batch(batch, segments);
  LossReport report;

  // Forward.
  View x = ctx.keep(num_tokens, hidden);
  kernels::embedding_forward(ctx.exec, x, embedding_.view(), batch.ids);
  std::vector<BlockSaved> saved(blocks_.size());
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer)
    x = blocks_[layer].forward(ctx, x, fb, &policy.balance, &saved[layer], nullptr, nullptr);
  const View final = ctx.keep(num_tokens, hidden), rstd = ctx.keep_wide(1, num_tokens);
  norm_.forward(ctx, final, rstd, x);

  std::vector<MtpSaved> mtp_saved(depths);
  std::vector<std::vector<int>> mtp_ids(depths), mtp_targets(depths);
  const View mtp_input = policy.mtp_from_normed ? final : x;
  ConstView state = mtp_input;
  for (std::size_t k = 0; k < depths; ++k) {
    const auto ahead = static_cast<index_t>(k) + 1;
    mtp_ids[k] = shifted(batch.ids, batch.segment_begins, ahead, 0);
    mtp_targets[k] = shifted(batch.targets, batch.segment_begins, ahead, -1);
    const View embedding = ctx.keep(num_tokens, hidden);
    kernels::embedding_forward(ctx.exec, embedding, embedding_.view(), mtp_ids[k]);
    state = mtp_[k].forward(ctx, embedding, state, fb, &policy.balance, &mtp_saved[k], nullptr, nullptr);
  }
  for (const BlockSaved& s : saved)
    if (s.moe.choice.index_TA.rows > 0) add_load(report, s.moe);
  for (const MtpSaved& s : mtp_saved)
    if (s.block.moe.choice.index_TA.rows > 0) add_load(report, s.block.moe);

  // Losses; each writes the gradient of its own state.
  const View loss = ctx.temp_wide(1, num_tokens), dfinal = ctx.temp(num_tokens, hidden);
  {
    const ArenaScope scope(ctx.scratch);
    report.main = head_loss.run({ctx, final, head_weight(), dfinal, head_grad(), batch});
    report.main_tokens = count_targets(batch.targets);
  }

  // Backward: MTP from the deepest module up. dstate: gradient of h^{k}, from module k + 1.
  const View dunnormed = policy.mtp_from_normed ? View{} : ctx.scratch.zeros(precision_.compute, num_tokens, hidden);
  View dstate{};
  report.mtp.resize(depths), report.mtp_tokens.resize(depths);
  for (std::size_t k = depths; k-- > 0;) {
    const View normed = ctx.temp(num_tokens, hidden), dnormed = ctx.temp(num_tokens, hidden),
               rstd_out = ctx.temp_wide(1, num_tokens);
    mtp_[k].head_norm().forward(ctx, normed, rstd_out, mtp_saved[k].x_TD);
    kernels::linear_cross_entropy(ctx.exec, {.loss_T = loss, .dx_TD = dnormed, .dw_VD = head_grad(), .argmax_T = {}},
                                  normed, head_weight(), mtp_targets[k], policy.loss_scale * policy.mtp_weight[k]);
    report.mtp[k] = sum_of(loss), report.mtp_tokens[k] = count_targets(mtp_targets[k]);
    const View dx = dstate.empty() ? ctx.temp(num_tokens, hidden) : dstate;
    mtp_[k].head_norm().backward(ctx, dx, dnormed, mtp_saved[k].x_TD, rstd_out,
                                 dstate.empty() ? Write::kAssign : Write::kAdd);
    const View dembedding = ctx.temp(num_tokens, hidden);
    const View dinput = k > 0                    ? ctx.scratch.zeros(precision_.compute, num_tokens, hidden)
                        : policy.mtp_from_normed ? dfinal
                                                 : dunnormed;
    mtp_[k].backward(ctx, dembedding, dinput, dx, fb, mtp_saved[k]);
    kernels::embedding_backward(ctx.exec, embedding_grad_.view(), dembedding, mtp_ids[k]);
    dstate = dinput;
  }

  const View dx = dunnormed.empty() ? ctx.temp(num_tokens, hidden) : dunnormed;
  norm_.backward(ctx, dx, dfinal, x, rstd, dunnormed.empty() ? Write::kAssign : Write::kAdd);
  for (std::size_t layer = blocks_.size(); layer-- > 0;) blocks_[layer].backward(ctx, dx, fb, saved[layer]);
  kernels::embedding_backward(ctx.exec, embedding_grad_.view(), dx, batch.ids);
  return report;
}

/// In ctx.scratch.
View Model::final_states(Context& ctx, const Batch& batch) {
  const auto num_tokens = static_cast<index_t>(batch.ids.size());
  const std::vector<kernels::AttentionSegment> segments = segments_of(batch);
  const ForwardBatch fb = forward_batch(batch, segments);
  const View final = ctx.temp(num_tokens, config_.hidden_size);
  const ArenaScope scope(ctx.scratch);
  const View x = ctx.temp(num_tokens, config_.hidden_size);
  kernels::embedding_forward(ctx.exec, x, embedding_.view(), batch.ids);
  for (Block& block : blocks_) block.forward(ctx, x, fb, nullptr, nullptr, nullptr, nullptr);
  norm_.forward(ctx, final, {}, x);
  return final;
}

void Model::evaluate(Context& ctx, View loss_T, const Batch& batch, std::span<int> argmax_T) {
  const ArenaScope scope(ctx.scratch);
  kernels::linear_cross_entropy(ctx.exec, {.loss_T = loss_T, .dx_TD = {}, .dw_VD = {}, .argmax_T = argmax_T},
                                final_states(ctx, batch), head_weight(), batch.targets, 1);
}

void Model::evaluate_logits(Context& ctx, const Batch& batch,
                            const std::function<void(const kernels::LogitsChunk&)>& rows) {
  const ArenaScope scope(ctx.scratch);
  kernels::for_logits_chunks(ctx.exec, final_states(ctx, batch), head_weight(), {}, rows);
}

}  // namespace hadal
