#include <algorithm>
#include <vector>

#include "kernels/cpu/intrinsics.h"
#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

#include "kernels/cpu/vec.h"

namespace {

constexpr index_t kTaskElements = 16384;

/// The two of every pair of lanes exchanged.
HADAL_INLINE Vec swap_pairs(Vec v) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<Vec>(_mm512_permute_ps(reinterpret_cast<__m512>(v), 0xB1));
#elif defined(HADAL_ISA_IS_avx2)
  return reinterpret_cast<Vec>(_mm256_permute_ps(reinterpret_cast<__m256>(v), 0xB1));
#else
  return Vec{v[1], v[0], v[3], v[2]};
#endif
}

/// One head of one row. own, other: the factors of a channel and of its partner.
template <class T>
HADAL_INLINE void rotate_interleaved(T* x, index_t dim, const float* own, const float* other) {
  index_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    const Vec v = load(x + i);
    store(x + i, fma(v, load(own + i), swap_pairs(v) * load(other + i)));
  }
  if (i == dim) return;
  const Vec v = load_first(x + i, dim - i);
  store_first(x + i, fma(v, load_first(own + i, dim - i), swap_pairs(v) * load_first(other + i, dim - i)), dim - i);
}

template <class T>
HADAL_INLINE void rotate_halves(T* x, index_t dim, const float* cosine, const float* sine) {
  const index_t half = dim / 2;
  index_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const Vec a = load(x + i), b = load(x + half + i), c = load(cosine + i), s = load(sine + i);
    store(x + i, fma(a, c, -(b * s)));
    store(x + half + i, fma(a, s, b * c));
  }
  if (i == half) return;
  const index_t n = half - i;
  const Vec a = load_first(x + i, n), b = load_first(x + half + i, n), c = load_first(cosine + i, n),
            s = load_first(sine + i, n);
  store_first(x + i, fma(a, c, -(b * s)), n);
  store_first(x + half + i, fma(a, s, b * c), n);
}

template <class T>
void rotate_rows(const Heads& x, std::span<const int> positions, const Mat<const float>& table, RopeStyle style,
                 RopeDirection direction, index_t begin, index_t end) {
  const index_t dim = x.dim, half = dim / 2;
  const float sign = direction == RopeDirection::kForward ? 1.0F : -1.0F;
  // Of the present row, shared by its heads. Interleaved: per channel; halves: the sine with its sign.
  std::vector<float> first(static_cast<std::size_t>(dim)), second(static_cast<std::size_t>(dim));
  for (index_t t = begin; t < end; ++t) {
    const float* cosine = table.data + positions[static_cast<std::size_t>(t)] * table.stride;
    const float* sine = cosine + half;
    if (style == RopeStyle::kInterleaved) {
      for (index_t i = 0; i < half; ++i) {
        float* own = first.data() + 2 * i;
        float* other = second.data() + 2 * i;
        own[0] = own[1] = cosine[i];
        other[0] = -sign * sine[i];
        other[1] = sign * sine[i];
      }
      for (index_t h = 0; h < x.heads; ++h) rotate_interleaved(x.at<T>(t, h), dim, first.data(), second.data());
    } else {
      for (index_t i = 0; i < half; ++i) first[static_cast<std::size_t>(i)] = sign * sine[i];
      for (index_t h = 0; h < x.heads; ++h) rotate_halves(x.at<T>(t, h), dim, cosine, first.data());
    }
  }
}

}  // namespace

void rope(Exec& ex, Heads x, std::span<const int> positions, ConstView table, RopeStyle style,
          RopeDirection direction) {
  if (x.dtype == DType::kF64) return ref::rope(ex, x, positions, table, style, direction);
  const index_t rows = std::max<index_t>(1, kTaskElements / (x.heads * x.dim));
  ex.pool.parallel_for((x.rows + rows - 1) / rows, [&](index_t task, int) {
    const index_t begin = task * rows, end = std::min(x.rows, begin + rows);
    if (x.dtype == DType::kBF16)
      rotate_rows<bf16>(x, positions, table.as<float>(), style, direction, begin, end);
    else
      rotate_rows<float>(x, positions, table.as<float>(), style, direction, begin, end);
  });
}

#include "kernels/cpu/isa_end.h"
