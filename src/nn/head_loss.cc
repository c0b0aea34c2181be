#include "nn/head_loss.h"

#include <cstring>
#include <vector>

#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/log_prob.h"
#include "tensor/copy.h"
#include "tensor/wide.h"

namespace hadal {
namespace {

std::vector<double> to_doubles(ConstView row, double factor) {
  std::vector<double> values(static_cast<std::size_t>(row.cols));
  for (index_t i = 0; i < row.cols; ++i) {
    values[static_cast<std::size_t>(i)] = factor * wide_at(row, 0, i);
  }
  return values;
}

/// `values` as a row of ctx.scratch in the dtype of statistics.
View to_row(Context& ctx, std::span<const double> values) {
  const View row = ctx.temp_wide(1, static_cast<index_t>(values.size()));
  for (index_t i = 0; i < row.cols; ++i) {
    const double v = values[static_cast<std::size_t>(i)];
    if (row.dtype == DType::kF64)
      row.as<double>()(0, i) = v;
    else
      row.as<float>()(0, i) = static_cast<float>(v);
  }
  return row;
}

}  // namespace

double sum_of(ConstView row) {
  double sum = 0;
  for (index_t i = 0; i < row.cols; ++i) sum += wide_at(row, 0, i);
  return sum;
}

double CrossEntropyLoss::run(const HeadPass& pass) {
  const View loss = pass.ctx.temp_wide(1, pass.x_TD.rows);
  kernels::linear_cross_entropy(pass.ctx.exec,
                                {.loss_T = loss, .dx_TD = pass.dx_TD, .dw_VD = pass.dw_VD, .argmax_T = {}}, pass.x_TD,
                                pass.w_VD, pass.batch.targets, scale_);
  sum_ = sum_of(loss);
  return sum_ * scale_;
}

double LogProbLoss::run(const HeadPass& pass) {
  Context& ctx = pass.ctx;
  const index_t rows = pass.x_TD.rows;
  const std::span<const int> targets = pass.batch.targets;
  const auto targets_of = [&](const kernels::LogitsChunk& chunk) {
    return targets.subspan(static_cast<std::size_t>(chunk.begin), static_cast<std::size_t>(chunk.logits_RV.rows));
  };

  const View nll = ctx.temp_wide(1, rows), entropy = wants_entropy_ ? ctx.temp_wide(1, rows) : View{};
  kernels::for_logits_chunks(ctx.exec, pass.x_TD, pass.w_VD, {}, [&](const kernels::LogitsChunk& chunk) {
    const index_t num = chunk.logits_RV.rows;
    kernels::cross_entropy(ctx.exec, nll.slice_cols(chunk.begin, num), {}, chunk.logits_RV, targets_of(chunk), 1, {});
    if (wants_entropy_)
      kernels::entropy(ctx.exec, entropy.slice_cols(chunk.begin, num), chunk.logits_RV, targets_of(chunk));
  });

  const std::vector<double> log_prob = to_doubles(nll, -1),
                            entropies = wants_entropy_ ? to_doubles(entropy, 1) : std::vector<double>{};
  std::vector<double> dlog_prob(log_prob.size()), dentropy(entropies.size());
  const double loss = loss_({log_prob, entropies, dlog_prob, dentropy});

  const View dlogp = to_row(ctx, dlog_prob), dh = wants_entropy_ ? to_row(ctx, dentropy) : View{};
  kernels::for_logits_chunks(ctx.exec, pass.x_TD, pass.w_VD, {.dx_TD = pass.dx_TD, .dw_VD = pass.dw_VD},
                             [&](const kernels::LogitsChunk& chunk) {
                               const auto part = [&](View row) {
                                 return row.empty() ? row : row.slice_cols(chunk.begin, chunk.logits_RV.rows);
                               };
                               kernels::log_prob_backward(ctx.exec, chunk.dlogits_RV, chunk.logits_RV,
                                                          targets_of(chunk), part(dlogp), part(dh));
                             });
  return loss;
}

double ScoreLoss::run(const HeadPass& pass) {
  HADAL_CHECK(pass.w_VD.rows == 1, "score loss: the head has ", pass.w_VD.rows, " rows; a scalar head has one");
  Context& ctx = pass.ctx;
  const index_t hidden = pass.x_TD.cols, num = static_cast<index_t>(pass.batch.segment_begins.size()) - 1;
  const auto last_row = [&](index_t s) { return pass.batch.segment_begins[static_cast<std::size_t>(s) + 1] - 1; };
  const View states = ctx.temp(num, hidden), dstates = ctx.temp(num, hidden), scores = ctx.temp_wide(num, 1);
  for (index_t s = 0; s < num; ++s) copy_rows(states.slice_rows(s, 1), pass.x_TD.slice_rows(last_row(s), 1));
  kernels::gemm_nt(ctx.exec, scores, states, pass.w_VD);

  const std::vector<double> score = to_doubles({scores.data, scores.dtype, 1, num, num}, 1);
  std::vector<double> dscore(score.size());
  const double loss = loss_(score, dscore);

  View dscores = to_row(ctx, dscore);
  dscores.rows = num, dscores.cols = dscores.stride = 1;
  const View narrow_dscores = ctx.temp(num, 1);
  kernels::convert(ctx.exec, narrow_dscores, dscores);
  kernels::gemm_nn(ctx.exec, dstates, narrow_dscores, pass.w_VD);
  if (!pass.dw_VD.empty()) kernels::gemm_tn(ctx.exec, pass.dw_VD, narrow_dscores, states, Write::kAdd);
  for (index_t t = 0; t < pass.dx_TD.rows; ++t)
    std::memset(pass.dx_TD.slice_rows(t, 1).data, 0, static_cast<std::size_t>(bytes_of(pass.dx_TD.dtype, hidden)));
  for (index_t s = 0; s < num; ++s) copy_rows(pass.dx_TD.slice_rows(last_row(s), 1), dstates.slice_rows(s, 1));
  return loss;
}

}  // namespace hadal
