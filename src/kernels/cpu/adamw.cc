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

typedef std::int16_t VecS __attribute__((vector_size(kLanes * 2)));

/// Bytes of the 16-bit elements that exist.
HADAL_INLINE std::size_t bytes_16(All /*lanes*/) {
  return sizeof(VecH);
}
HADAL_INLINE std::size_t bytes_16(First lanes) {
  return static_cast<std::size_t>(lanes.n) * 2;
}
/// join_f32, a vector at a time.
HADAL_INLINE Vec join(const bf16* value, const std::int16_t* rest, auto lanes) {
  VecH high{};
  VecS low{};
  __builtin_memcpy(&high, value, bytes_16(lanes));
  __builtin_memcpy(&low, rest, bytes_16(lanes));
  const VecI sum = (__builtin_convertvector(high, VecI) << 16) + __builtin_convertvector(low, VecI);
  return reinterpret_cast<Vec>(sum);
}

/// The parameter as an f32 master copy with a rounded copy beside it (nullptr: none).
template <class Value>
struct WithCopy {
  float* master;
  Value* rounded;
  HADAL_INLINE Vec read(index_t i, auto lanes) const { return load(master + i, lanes); }
  HADAL_INLINE void write(index_t i, Vec v, auto lanes) const {
    store(master + i, v, lanes);
    if (rounded != nullptr) store(rounded + i, v, lanes);
  }
};
/// The parameter as a bf16 and the rest of its f32 (split_f32).
struct Split {
  bf16* value;
  std::int16_t* rest;
  HADAL_INLINE Vec read(index_t i, auto lanes) const { return join(value + i, rest + i, lanes); }
  HADAL_INLINE void write(index_t i, Vec v, auto lanes) const {
    const VecU bits = reinterpret_cast<VecU>(v), high = (bits + 0x8000U) >> 16;
    const VecH top = __builtin_convertvector(high, VecH), low = __builtin_convertvector(bits - (high << 16), VecH);
    __builtin_memcpy(value + i, &top, bytes_16(lanes));
    __builtin_memcpy(rest + i, &low, bytes_16(lanes));
  }
};

/// One pass: every value is read once and written once.
template <class Moment, class Parameter>
void step(Exec& ex, index_t n, Parameter parameter, float* grad, Moment* m, Moment* v, const Constants& c,
          bool zero_grad) {
  ex.pool.parallel_for(tasks_of(n, kBlock), [&](index_t task, int /*worker*/) {
    const index_t begin = task * kBlock, length = n - begin < kBlock ? n - begin : kBlock;
    float* const g = grad + begin;
    Moment* const m1 = m + begin;
    Moment* const m2 = v + begin;
    for_vectors(length, [&](index_t i, auto lanes) {
      const Vec gv = load(g + i, lanes);
      const Vec mv = fma(gv, splat(c.grad1), load(m1 + i, lanes) * c.beta1);
      const Vec vv = fma(gv * gv, splat(c.grad2), load(m2 + i, lanes) * c.beta2);
      const Vec move = mv * c.rate / fma(sqrt(vv), splat(c.v_factor), splat(c.eps));
      const Vec pv = fma(parameter.read(begin + i, lanes), splat(c.keep), -move);
      store(m1 + i, mv, lanes);
      store(m2 + i, vv, lanes);
      parameter.write(begin + i, pv, lanes);
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
    using Moment = typename decltype(moment)::type;
    const auto run = [&](const auto& parameter) {
      step(ex, grad.count(), parameter, data_of<float>(grad), data_of<Moment>(m), data_of<Moment>(v),
           constants_of(config), zero_grad);
    };
    if (master.dtype == DType::kI16) return run(Split{data_of<bf16>(value), data_of<std::int16_t>(master)});
    with_type(value.dtype, [&](auto rounded) {
      using Value = typename decltype(rounded)::type;
      run(WithCopy<Value>{data_of<float>(master), data_of<Value>(value)});
    });
  });
}

double sum_of_squares(Exec& ex, ConstView x) {
  if (x.dtype == DType::kF32) return squares<float>(ex, x);
  if (x.dtype == DType::kBF16) return squares<bf16>(ex, x);
  return ref::sum_of_squares(ex, x);
}

void ema_update(Exec& ex, View y, ConstView x, ConstView rest, double decay) {
  if (y.dtype == DType::kF64) return ref::ema_update(ex, y, x, rest, decay);
  if (y.contiguous() && x.contiguous() && rest.contiguous()) {
    // Long blocks, whatever the shape.
    const index_t cols = kLanes * 64, rows = y.count() / cols;
    const index_t left = y.count() - rows * cols;
    const auto part = [&](auto all, index_t first, index_t r, index_t c) {
      return all.empty() ? all : decltype(all){all.data + bytes_of(all.dtype, first), all.dtype, r, c, c};
    };
    if (left > 0 && rows > 0)
      ema_update(ex, part(y, rows * cols, 1, left), part(x, rows * cols, 1, left), part(rest, rows * cols, 1, left),
                 decay);
    if (rows > 0) y = part(y, 0, rows, cols), x = part(x, 0, rows, cols), rest = part(rest, 0, rows, cols);
  }
  const Vec keep = splat(static_cast<float>(decay)), take = splat(static_cast<float>(1 - decay));
  const auto average = [&](const auto& value_at) {
    for_row_blocks(ex, y.rows, y.cols, [&](index_t begin, index_t end, int /*worker*/) {
      for (index_t r = begin; r < end; ++r) {
        float* const to = row_of<float>(y, r);
        for_vectors(y.cols, [&](index_t i, auto lanes) {
          store(to + i, fma(value_at(r, i, lanes), take, load(to + i, lanes) * keep), lanes);
        });
      }
    });
  };
  if (!rest.empty())
    return average([&](index_t r, index_t i, auto lanes) {
      return join(row_of<bf16>(x, r) + i, rest.as<std::int16_t>().data + r * rest.stride + i, lanes);
    });
  with_type(x.dtype, [&](auto type) {
    using X = typename decltype(type)::type;
    average([&](index_t r, index_t i, auto lanes) { return load(row_of<X>(x, r) + i, lanes); });
  });
}

#include "kernels/cpu/isa_end.h"
