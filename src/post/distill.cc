#include "post/distill.h"

#include <algorithm>
#include <cstring>

#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"

namespace hadal {

void DistillTask::begin_step(std::int64_t first, std::int64_t count) {
  step_targets_ = 0;
  for (std::int64_t place = first; place < first + count; ++place)
    step_targets_ += teacher_.num_rows(loader_.sequence_at(place));
}

std::unique_ptr<HeadLoss> DistillTask::loss(std::int64_t first, std::int64_t count, std::int64_t /*step_items*/) {
  const Batch batch = loader_.batch(first, count);
  std::vector<TeacherRow> rows(batch.ids.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const index_t sequence = loader_.sequence_at(first + i);
    index_t next = 0;
    for (index_t t = batch.sequence_begins[static_cast<std::size_t>(i)];
         t < batch.sequence_begins[static_cast<std::size_t>(i) + 1]; ++t)
      if (batch.targets[static_cast<std::size_t>(t)] >= 0)
        rows[static_cast<std::size_t>(t)] = teacher_.row(sequence, next++);
  }
  return std::make_unique<DistillLoss>(
      std::move(rows), options_, 1 / static_cast<double>(std::max<std::int64_t>(step_targets_, 1)),
      [this](double divergence, double cross_entropy) { divergence_ += divergence, cross_entropy_ += cross_entropy; });
}

JsonObject DistillTask::step_metrics() {
  const JsonObject metrics{{"divergence", divergence_}, {"cross_entropy", cross_entropy_}};
  divergence_ = cross_entropy_ = 0;
  return metrics;
}

double DistillLoss::run(const HeadPass& pass) {
  const double weight = options_.weight;
  double divergence = 0, cross_entropy = 0;
  const std::span<const int> targets = pass.batch.targets;
  kernels::for_logits_chunks(
      pass.ctx.exec, pass.x_TD, pass.w_VD, {.dx_TD = pass.dx_TD, .dw_VD = pass.dw_VD},
      [&](const kernels::LogitsChunk& chunk) {
        const ArenaScope scope(pass.ctx.scratch);
        const index_t num = chunk.logits_RV.rows, vocab_size = chunk.logits_RV.cols;
        const View logits = pass.ctx.scratch.view(chunk.logits_RV.dtype, num, vocab_size);
        const View dkl = pass.ctx.scratch.view(chunk.logits_RV.dtype, num, vocab_size),
                   nll = pass.ctx.temp_wide(1, num);
        kernels::convert(pass.ctx.exec, logits, chunk.logits_RV);
        kernels::cross_entropy(pass.ctx.exec, nll, chunk.dlogits_RV, chunk.logits_RV,
                               targets.subspan(static_cast<std::size_t>(chunk.begin), static_cast<std::size_t>(num)),
                               (1 - weight) * scale_, {});
        std::vector<double> row_loss(static_cast<std::size_t>(num));
        pass.ctx.exec.pool.parallel_for(num, [&](index_t r, int) {
          const TeacherRow& teacher = rows_[static_cast<std::size_t>(chunk.begin + r)];
          const View row = dkl.slice_rows(r, 1);
          if (teacher.id.empty())
            std::memset(row.data, 0, static_cast<std::size_t>(bytes_of(row.dtype, vocab_size)));
          else
            row_loss[static_cast<std::size_t>(r)] =
                distill_row(row, logits.slice_rows(r, 1), teacher, options_, weight * scale_);
        });
        kernels::convert(pass.ctx.exec, chunk.dlogits_RV, dkl, Write::kAdd);
        for (const double l : row_loss) divergence += scale_ * l;
        cross_entropy += scale_ * sum_of(nll);
      });
  report_(divergence, cross_entropy);
  return weight * divergence + (1 - weight) * cross_entropy;
}

}  // namespace hadal
