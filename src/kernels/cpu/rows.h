// Loops over rows and over vectors of a row, and choice of element types. Include inside the region that isa_begin.h
// opens.
#ifndef HADAL_KERNELS_CPU_ROWS_H_
#define HADAL_KERNELS_CPU_ROWS_H_

#include "kernels/cpu/vec.h"

/// Which lanes of a vector exist: all of them, or the first n.
struct All {};
struct First {
  index_t n;
};
template <class T>
HADAL_INLINE Vec load(const T* p, All /*lanes*/) {
  return load(p);
}
template <class T>
HADAL_INLINE Vec load(const T* p, First lanes) {
  return load_first(p, lanes.n);
}
template <class T>
HADAL_INLINE void store(T* p, Vec v, All /*lanes*/) {
  store(p, v);
}
template <class T>
HADAL_INLINE void store(T* p, Vec v, First lanes) {
  store_first(p, v, lanes.n);
}
/// v, with zeros in the lanes that do not exist.
HADAL_INLINE Vec existing(Vec v, All /*lanes*/) {
  return v;
}
HADAL_INLINE Vec existing(Vec v, First lanes) {
  for (index_t i = lanes.n; i < kLanes; ++i) v[i] = 0;
  return v;
}

/// Calls f(i, lanes) for the vectors that start at i = 0, kLanes, ... below n.
template <class F>
HADAL_INLINE void for_vectors(index_t n, F f) {
  index_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, All{});
  if (i < n) f(i, First{n - i});
}
/// The same with f(i, lanes, k), k = 0..3 in turn, for sums in four chains: one chain would wait for each addition.
template <class F>
HADAL_INLINE void for_vectors_by_4(index_t n, F f) {
  index_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    f(i, All{}, 0);
    f(i + kLanes, All{}, 1);
    f(i + 2 * kLanes, All{}, 2);
    f(i + 3 * kLanes, All{}, 3);
  }
  for (; i + kLanes <= n; i += kLanes) f(i, All{}, 0);
  if (i < n) f(i, First{n - i}, 1);
}

/// Elements of work that are worth a task.
inline constexpr index_t kTaskElements = index_t{1} << 14;
inline index_t tasks_of(index_t n, index_t per_task) {
  return (n + per_task - 1) / per_task;
}

/// Calls f(begin, end, worker) for blocks of rows, in parallel.
template <class F>
void for_row_blocks(Exec& ex, index_t rows, index_t cols, const F& f) {
  const index_t per_task = cols > 0 && cols < kTaskElements ? kTaskElements / cols : 1;
  ex.pool.parallel_for(tasks_of(rows, per_task), [&](index_t task, int worker) {
    const index_t begin = task * per_task;
    f(begin, begin + per_task < rows ? begin + per_task : rows, worker);
  });
}

/// Sums over rows: f(begin, end, partial_C) adds rows [begin, end) to a zeroed partial sum of `cols` floats; all
/// partial sums are added to sum_C in order. The blocks depend on the shape alone.
template <class F>
void sum_over_rows(Exec& ex, float* sum_C, index_t rows, index_t cols, const F& f) {
  constexpr index_t kMostBlocks = 64, kFewestRows = 32;
  const index_t even = (rows + kMostBlocks - 1) / kMostBlocks;
  const index_t per_task = even > kFewestRows ? even : kFewestRows;
  const index_t num = tasks_of(rows, per_task), stride = (cols + 15) / 16 * 16;
  auto* const partials = reinterpret_cast<float*>(ex.scratch(-1, num * stride * static_cast<index_t>(sizeof(float))));
  ex.pool.parallel_for(num, [&](index_t task, int /*worker*/) {
    float* const partial = partials + task * stride;
    for (index_t c = 0; c < cols; ++c) partial[c] = 0;
    const index_t begin = task * per_task;
    f(begin, begin + per_task < rows ? begin + per_task : rows, partial);
  });
  constexpr index_t kColumns = 1024;
  ex.pool.parallel_for(tasks_of(cols, kColumns), [&](index_t task, int /*worker*/) {
    const index_t first = task * kColumns, width = cols - first < kColumns ? cols - first : kColumns;
    for_vectors(width, [&](index_t i, auto lanes) {
      Vec total = load(sum_C + first + i, lanes);
      for (index_t k = 0; k < num; ++k) total += load(partials + k * stride + first + i, lanes);
      store(sum_C + first + i, total, lanes);
    });
  });
}

/// Stands for an element type where a function is chosen.
template <class T>
struct Of {
  using type = T;
};
/// Calls f(Of<float>) or f(Of<bf16>), whichever `dtype` is.
template <class F>
void with_type(DType dtype, const F& f) {
  if (dtype == DType::kF32)
    f(Of<float>{});
  else
    f(Of<bf16>{});
}

/// One element.
HADAL_INLINE float value(float v) {
  return v;
}
HADAL_INLINE float value(bf16 v) {
  return to_f32(v);
}
HADAL_INLINE void set(float& to, float v) {
  to = v;
}
HADAL_INLINE void set(bf16& to, float v) {
  to = to_bf16(v);
}

/// Row r of a view that is known to hold T.
template <class T>
HADAL_INLINE T* row_of(View v, index_t r) {
  return reinterpret_cast<T*>(v.data) + r * v.stride;
}
template <class T>
HADAL_INLINE const T* row_of(ConstView v, index_t r) {
  return reinterpret_cast<const T*>(v.data) + r * v.stride;
}

/// The largest of n > 0 values.
template <class X>
float largest(const X* values, index_t n) {
  Vec top[4];
  for (Vec& v : top) v = splat(-__builtin_inff());
  index_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (int k = 0; k < 4; ++k) top[k] = max(load(values + i + k * kLanes), top[k]);
  for (; i + kLanes <= n; i += kLanes) top[0] = max(load(values + i), top[0]);
  float best = max_of(max(max(top[0], top[1]), max(top[2], top[3])));
  for (; i < n; ++i) best = value(values[i]) > best ? value(values[i]) : best;
  return best;
}

#endif  // HADAL_KERNELS_CPU_ROWS_H_
