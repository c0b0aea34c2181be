#if defined(HADAL_ISA_IS_avx512) || defined(HADAL_ISA_IS_avx2)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstring>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/rows.h"

namespace {

constexpr index_t kBlock = index_t{1} << 16;  // elements of a task

typedef double VecD __attribute__((vector_size(kLanes * 8)));

struct Constants {
  float keep, beta1, grad1, beta2, grad2, rate, v_factor, eps;
};

/// grad1 = (1 - beta1) grad_scale and grad2 = (1 - beta2) grad_scale^2 fold the clipping into the moments; v_factor
/// turns sqrt(v) into the square root of the corrected v.
Constants constants_of(const AdamWConfig& c) {
  const double correction1 = 1 - std::pow(c.beta1, static_cast<double>(c.step));
  const double correction2 = 1 - std::pow(c.beta2, static_cast<double>(c.step));
  const auto f = [](double v) { return static_cast<float>(v); };
  return {.keep = f(1 - c.lr * c.weight_decay),
          .beta1 = f(c.beta1),
          .grad1 = f((1 - c.beta1) * c.grad_scale),
          .beta2 = f(c.beta2),
          .grad2 = f((1 - c.beta2) * c.grad_scale * c.grad_scale),
          .rate = f(c.lr / correction1),
          .v_factor = f(1 / std::sqrt(correction2)),
          .eps = f(c.eps)};
}

/// One pass: every value is read once and written once. Value: nullptr when there is no rounded copy.
template <class Moment, class Value>
void step(Exec& ex, index_t n, float* master, Value* value, float* grad, Moment* m, Moment* v, const Constants& c,
          bool zero_grad) {
  ex.pool.parallel_for(tasks_of(n, kBlock), [&](index_t task, int /*worker*/) {
    const index_t begin = task * kBlock, length = n - begin < kBlock ? n - begin : kBlock;
    float* const p = master + begin;
    float* const g = grad + begin;
    Moment* const m1 = m + begin;
    Moment* const m2 = v + begin;
    Value* const rounded = value == nullptr ? nullptr : value + begin;
    for_vectors(length, [&](index_t i, auto lanes) {
      const Vec gv = load(g + i, lanes);
      const Vec mv = fma(gv, splat(c.grad1), load(m1 + i, lanes) * c.beta1);
      const Vec vv = fma(gv * gv, splat(c.grad2), load(m2 + i, lanes) * c.beta2);
      const Vec move = mv * c.rate / fma(sqrt(vv), splat(c.v_factor), splat(c.eps));
      const Vec pv = fma(load(p + i, lanes), splat(c.keep), -move);
      store(m1 + i, mv, lanes);
      store(m2 + i, vv, lanes);
      store(p + i, pv, lanes);
      if (rounded != nullptr) store(rounded + i, pv, lanes);
      if (zero_grad) store(g + i, Vec{}, lanes);
    });
  });
}

template <class T>
T* data_of(View v) {
  return reinterpret_cast<T*>(v.data);
}

/// Squares summed in f64, so that no f32 square overflows and no small one is lost.
template <class X>
double squares_of_run(const X* x, index_t n) {
  VecD total[2] = {};
  index_t k = 0;
  for_vectors(n, [&](index_t i, auto lanes) {
    const VecD v = __builtin_convertvector(load(x + i, lanes), VecD);
    total[k] += v * v;
    k ^= 1;
  });
  double lanes_sum = 0;
  for (int i = 0; i < kLanes; ++i) lanes_sum += total[0][i] + total[1][i];
  return lanes_sum;
}

template <class X>
double squares(Exec& ex, ConstView x) {
  if (x.contiguous()) x = {x.data, x.dtype, 1, x.count(), x.count()};
  const index_t per_row = tasks_of(x.cols, kBlock), num = x.rows * per_row;
  auto* const partial = reinterpret_cast<double*>(ex.scratch(-1, num * static_cast<index_t>(sizeof(double))));
  ex.pool.parallel_for(num, [&](index_t task, int /*worker*/) {
    const index_t begin = task % per_row * kBlock, length = x.cols - begin < kBlock ? x.cols - begin : kBlock;
    partial[task] = squares_of_run(row_of<X>(x, task / per_row) + begin, length);
  });
  double total = 0;
  for (index_t i = 0; i < num; ++i) total += partial[i];
  return total;
}

}  // namespace

void adamw_step(Exec& ex, View master, View value, View grad, View m, View v, const AdamWConfig& config,
                bool zero_grad) {
  if (master.dtype == DType::kF64) return ref::adamw_step(ex, master, value, grad, m, v, config, zero_grad);
  with_type(m.dtype, [&](auto moment) {
    with_type(value.dtype, [&](auto rounded) {
      using Moment = typename decltype(moment)::type;
      using Value = typename decltype(rounded)::type;
      step(ex, master.count(), data_of<float>(master), data_of<Value>(value), data_of<float>(grad), data_of<Moment>(m),
           data_of<Moment>(v), constants_of(config), zero_grad);
    });
  });
}

double sum_of_squares(Exec& ex, ConstView x) {
  if (x.dtype == DType::kF32) return squares<float>(ex, x);
  if (x.dtype == DType::kBF16) return squares<bf16>(ex, x);
  return ref::sum_of_squares(ex, x);
}

void ema_update(Exec& ex, View y, ConstView x, double decay) {
  if (y.dtype == DType::kF64) return ref::ema_update(ex, y, x, decay);
  if (y.contiguous() && x.contiguous()) {
    // Long blocks, whatever the shape.
    const index_t cols = kLanes * 64, rows = y.count() / cols;
    const index_t rest = y.count() - rows * cols;
    if (rest > 0 && rows > 0) {
      const auto tail = [&](auto all) {
        return decltype(all){all.data + bytes_of(all.dtype, rows * cols), all.dtype, 1, rest, rest};
      };
      ema_update(ex, tail(y), tail(x), decay);
    }
    if (rows > 0) y = {y.data, y.dtype, rows, cols, cols}, x = {x.data, x.dtype, rows, cols, cols};
  }
  const Vec keep = splat(static_cast<float>(decay)), take = splat(static_cast<float>(1 - decay));
  with_type(x.dtype, [&](auto type) {
    using X = typename decltype(type)::type;
    for_row_blocks(ex, y.rows, y.cols, [&](index_t begin, index_t end, int /*worker*/) {
      for (index_t r = begin; r < end; ++r) {
        float* const to = row_of<float>(y, r);
        const X* const from = row_of<X>(x, r);
        for_vectors(y.cols, [&](index_t i, auto lanes) {
          store(to + i, fma(load(from + i, lanes), take, load(to + i, lanes) * keep), lanes);
        });
      }
    });
  });
}

#include "kernels/cpu/isa_end.h"
