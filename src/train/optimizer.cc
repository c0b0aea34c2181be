#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/adamw.h"
#include "kernels/elementwise.h"

namespace hadal {
namespace {

/// All elements in one row; parameters are contiguous rows of their stacked weight.
View flat(View v) {
  HADAL_CHECK(v.contiguous(), "optimizer: a parameter of ", v.rows, " x ", v.cols, " is not contiguous");
  return {v.data, v.dtype, 1, v.count(), v.count()};
}

void clear(View v) {
  std::memset(v.data, 0, static_cast<std::size_t>(bytes_of(v.dtype, v.count())));
}

}  // namespace

Optimizer::Optimizer(Model& model, const OptimizerOptions& options) : model_(model), options_(options) {
  const DType wide = model.precision().wide();
  const DType moments = wide == DType::kF64 ? wide : parse_dtype(options.moments);
  model.visit_params([&](const Param& p) {
    if (!p.trainable) return;
    HADAL_CHECK(!p.grad.empty(), "optimizer: ", p.name, " has no gradient; the model was built for inference");
    State s{p, p.value, {}, {}};
    const auto allocate = [&](DType dtype) { return storage_.emplace_back(dtype, p.value.rows, p.value.cols).view(); };
    if (p.value.dtype != wide) s.master = allocate(wide);
    s.first_moment = allocate(moments);
    s.second_moment = allocate(moments);
    states_.push_back(s);
  });
}

double Optimizer::grad_norm(Exec& ex) const {
  double sum = 0;
  for (const State& s : states_) sum += kernels::sum_of_squares(ex, s.param.grad);
  return std::sqrt(sum);
}

void Optimizer::step(Exec& ex, double lr, double norm, std::int64_t step) {
  kernels::AdamWConfig config{
      .lr = lr, .beta1 = options_.beta1, .beta2 = options_.beta2, .eps = options_.eps, .step = step};
  // As torch's clip_grad_norm_: g *= min(1, clip / (norm + 1e-6)).
  if (options_.clip > 0) config.grad_scale = std::min(1.0, options_.clip / (norm + 1e-6));
  for (const State& s : states_) {
    config.weight_decay = s.param.is_vector && !options_.decay_vectors ? 0 : options_.weight_decay;
    const bool separate = s.master.data != s.param.value.data;
    kernels::adamw_step(ex, flat(s.master), separate ? flat(s.param.value) : View{}, flat(s.param.grad),
                        flat(s.first_moment), flat(s.second_moment), config, /*zero_grad=*/true);
  }
  model_.refresh(ex);
}

void Optimizer::zero_grad(Exec& ex) {
  ex.pool.parallel_for(static_cast<index_t>(states_.size()),
                       [&](index_t i, int) { clear(states_[static_cast<std::size_t>(i)].param.grad); });
}

void Optimizer::reset_moments() {
  for (const State& s : states_) clear(s.first_moment), clear(s.second_moment);
}

void Optimizer::copy_from_model(Exec& ex) {
  for (const State& s : states_)
    if (s.master.data != s.param.value.data) kernels::convert(ex, s.master, s.param.value);
}

void Optimizer::copy_to_model(Exec& ex) {
  for (const State& s : states_)
    if (s.master.data != s.param.value.data) kernels::convert(ex, s.param.value, s.master);
  model_.refresh(ex);
}

ConstView Optimizer::master_of(const Param& param) const {
  for (const State& s : states_)
    if (s.param.value.data == param.value.data) return s.master;
  return param.value;
}

index_t Optimizer::bytes() const {
  index_t bytes = 0;
  for (const Tensor& t : storage_) bytes += bytes_of(t.dtype(), t.rows() * t.cols());
  return bytes;
}

}  // namespace hadal
