#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/adamw.h"
#include "kernels/elementwise.h"

namespace hadal {
namespace {

/// `count` elements from the first one of v on, as one row.
View row_from(View v, index_t count) {
  return {v.data, v.dtype, 1, count, count};
}

bool follows(View next, View v) {
  return next.dtype == v.dtype && next.data == v.data + bytes_of(v.dtype, v.count());
}

void clear(View v) {
  std::memset(v.data, 0, static_cast<std::size_t>(bytes_of(v.dtype, v.count())));
}

}  // namespace

TrainedParams params_of(Model& model) {
  return {.visit = [&model](const ParamVisitor& v) { model.visit_params(v); },
          .changed = [&model](Exec& ex) { model.refresh(ex); }};
}

Optimizer::Optimizer(TrainedParams params, const OptimizerOptions& options)
    : params_(std::move(params)), options_(options) {
  std::vector<Param> run;
  params_.visit([&](const Param& p) {
    if (!p.trainable) return;
    HADAL_CHECK(!p.grad.empty(), "optimizer: ", p.name, " has no gradient; the model was built for inference");
    HADAL_CHECK(p.value.contiguous() && p.grad.contiguous(), "optimizer: ", p.name, " is not contiguous");
    const bool joins = !run.empty() && run.back().is_vector == p.is_vector && follows(p.value, run.back().value) &&
                       follows(p.grad, run.back().grad);
    if (!joins) {
      add_run(run);
      run.clear();
    }
    run.push_back(p);
  });
  add_run(run);
}

void Optimizer::add_run(std::span<const Param> params) {
  if (params.empty()) return;
  index_t count = 0;
  for (const Param& p : params) count += p.value.count();
  const DType wide = params[0].grad.dtype, moments = wide == DType::kF64 ? wide : parse_dtype(options_.moments);
  const auto allocate = [&](DType dtype) { return storage_.emplace_back(dtype, 1, count).view(); };
  Run run;
  run.value = row_from(params[0].value, count), run.grad = row_from(params[0].grad, count);
  if (run.value.dtype == DType::kBF16) run.rest = allocate(DType::kI16);
  run.first_moment = allocate(moments), run.second_moment = allocate(moments);
  run.decays = !params[0].is_vector || options_.decay_vectors;
  runs_.push_back(run);
  index_t begin = 0;
  for (const Param& p : params) {
    const auto part = [&](View row) {
      return row.empty()
                 ? row
                 : View{row.data + bytes_of(row.dtype, begin), row.dtype, p.value.rows, p.value.cols, p.value.cols};
    };
    states_.push_back({p, part(run.rest), part(run.first_moment), part(run.second_moment)});
    begin += p.value.count();
  }
}

double Optimizer::grad_norm(Exec& ex) const {
  double sum = 0;
  for (const Run& run : runs_) sum += kernels::sum_of_squares(ex, run.grad);
  return std::sqrt(sum);
}

void Optimizer::step(Exec& ex, double lr, double norm, std::int64_t step) {
  kernels::AdamWConfig config{
      .lr = lr, .beta1 = options_.beta1, .beta2 = options_.beta2, .eps = options_.eps, .step = step};
  // As torch's clip_grad_norm_: g *= min(1, clip / (norm + 1e-6)).
  if (options_.clip > 0) config.grad_scale = std::min(1.0, options_.clip / (norm + 1e-6));
  for (const Run& run : runs_) {
    config.weight_decay = run.decays ? options_.weight_decay : 0;
    const bool split = !run.rest.empty();
    kernels::adamw_step(ex, split ? run.rest : run.value, split ? run.value : View{}, run.grad, run.first_moment,
                        run.second_moment, config, /*zero_grad=*/true);
  }
  params_.changed(ex);
}

void Optimizer::zero_grad(Exec& ex) {
  ex.pool.parallel_for(static_cast<index_t>(runs_.size()),
                       [&](index_t i, int) { clear(runs_[static_cast<std::size_t>(i)].grad); });
}

void Optimizer::reset_moments() {
  for (const Run& run : runs_) clear(run.first_moment), clear(run.second_moment);
}

void Optimizer::take_masters() {
  for (const Run& run : runs_)
    if (!run.rest.empty()) clear(run.rest);
}

ConstView Optimizer::master_of(Exec& ex, const Param& param, Tensor& storage) const {
  for (const State& s : states_) {
    if (s.param.value.data != param.value.data || s.rest.empty()) continue;
    storage = Tensor(DType::kF32, param.value.rows, param.value.cols);
    kernels::join_f32(ex, storage.view(), param.value, s.rest);
    return storage.view();
  }
  return param.value;
}

index_t Optimizer::bytes() const {
  index_t bytes = 0;
  for (const Tensor& t : storage_) bytes += bytes_of(t.dtype(), t.rows() * t.cols());
  return bytes;
}

}  // namespace hadal
