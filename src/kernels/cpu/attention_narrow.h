// Attention forward for a few queries over many keys (decode): the lanes are keys, then channels, where the wide kernel
// has queries, so a vector is full even with one query. Every sum runs in the order of the wide kernel and gives its
// bits, so a token's result does not depend on what it is computed with. Include inside the region that isa_begin.h
// opens, after attention_layout.h.
#ifndef HADAL_KERNELS_CPU_ATTENTION_NARROW_H_
#define HADAL_KERNELS_CPU_ATTENTION_NARROW_H_

inline constexpr int kNarrowLanes = 16;  // queries of one task
#if defined(HADAL_ISA_IS_avx512)
inline constexpr int kNarrowRows = 4, kNarrowVecs = 6;
#else
inline constexpr int kNarrowRows = 2, kNarrowVecs = 4;
#endif
static_assert(kKeyBlock % (kNarrowVecs * kLanes) == 0);

/// Buffers of one task.
struct NarrowTask {
  PacedRows next;                              // what is read after this block
  float *wide_k = nullptr, *wide_v = nullptr;  // of KeyBlocks
  float* q = nullptr;                          // [queries][words of dk]
  float* k = nullptr;                          // [keys][words of dk]: rows that cannot be transposed where they lie
  float* k_by_key = nullptr;                   // [words of dk][keys]
  float* packed_v = nullptr;                   // [words of keys][dv]
  float* p = nullptr;                          // [queries][keys]
  float* weights = nullptr;                    // [queries][words of keys]; p itself when words are f32
  float* out = nullptr;                        // [queries][dv], not divided by sum
  const float* v = nullptr;                    // the values of the block: packed_v, or f32 rows where they lie
  index_t k_stride = 0, v_stride = 0, out_stride = 0, dk_words = 0;
  float c = 1;  // scale * log2(e)
  alignas(64) float shift[kNarrowLanes] = {}, sum[kNarrowLanes] = {};
  index_t seen[kNarrowLanes] = {};  // keys from the start of the segment
};

/// dot_tile, and asks meanwhile for what is read next.
template <class W, int kRows, int kVecs>
HADAL_INLINE void dot_and_ask(Vec (&acc)[kRows][kVecs], PacedRows& next, const float* a, index_t a_stride,
                              const float* b, index_t b_stride, index_t num_words) {
  constexpr index_t kWords = 8;
  constexpr int kLinesAtOnce = 12;  // come about in the time of so many words
  for (index_t w = 0; w < num_words; w += kWords) {
    next.ask(kLinesAtOnce);
    dot_tile<W>(acc, a + w, a_stride, b + w * b_stride, b_stride, std::min(kWords, num_words - w));
  }
}

/// to[word][row] of `num` rows, kKeyBlock words apart; writes whole vectors of rows and of words. Rows that do not
/// exist read as the last one: their lanes are masked later.
template <class W>
inline void transpose_words(float* to, const typename W::Element* from, index_t stride, index_t dim, index_t num) {
#if defined(HADAL_ISA_IS_avx512)
  for (index_t r = 0; r < num; r += 16) {
    for (index_t w = 0; w * W::kPair < dim; w += 16) {
      __m512i x[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        x[i] = load_words<W>(from + std::min(r + i, num - 1) * stride + w * W::kPair, dim - w * W::kPair);
      transpose16(x);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + (w + i) * kKeyBlock + r, x[i]);
    }
  }
#else
  for (index_t r = 0; r < num; ++r)
    for (index_t w = 0; w < dim; ++w) to[w * kKeyBlock + r] = f32_of(from[r * stride + w]);
#endif
}

/// Lanes of the keys first + 0 .. kLanes - 1 that are below `seen`.
HADAL_INLINE VecI seen_lanes(index_t first, index_t seen) {
  return lane_numbers() < static_cast<std::int32_t>(std::clamp<index_t>(seen - first, 0, kLanes));
}

/// p = the weights of kRows queries from `row` on for kVecs vectors of keys from `key` on, of the block that starts at
/// key `first` of the segment.
template <class W, int kRows, int kVecs>
[[gnu::noinline]] void narrow_weights_at(NarrowTask& t, index_t row, index_t first, index_t key) {
  constexpr int kBatch = std::max(kVecs / 2, 1);
  Vec acc[kRows][kVecs] = {};
  dot_and_ask<W>(acc, t.next, t.q + row * t.dk_words, t.dk_words, t.k_by_key + key, kKeyBlock, t.dk_words);
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
    const Vec minus = -broadcast(t.shift[row + m]);
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; v += kBatch) {
      Vec x[kBatch];
#pragma GCC unroll 8
      for (int i = 0; i < kBatch; ++i) x[i] = fma(acc[m][v + i], broadcast(t.c), minus);
      exp2_all<W>(x);
#pragma GCC unroll 8
      for (int i = 0; i < kBatch; ++i) {
        const index_t at = key + (v + i) * kLanes;
        const VecI keep = seen_lanes(first + at, t.seen[row + m]);
        store(t.p + (row + m) * kKeyBlock + at, reinterpret_cast<Vec>(reinterpret_cast<VecI>(x[i]) & keep));
      }
    }
  }
}
/// Of the first `num` keys of the block, and zeros up to a whole tile: sums go by tiles.
template <class W, int kRows>
inline void narrow_weights(NarrowTask& t, index_t row, index_t first, index_t num) {
  const index_t end = round_up(round_up(num, kTileKeys), kLanes);
  index_t key = 0;
  const auto run = [&]<int kVecs>() {
    for (; key + kVecs * kLanes <= end; key += kVecs * kLanes) narrow_weights_at<W, kRows, kVecs>(t, row, first, key);
  };
  if constexpr (kNarrowVecs > 4) run.template operator()<kNarrowVecs>();
  run.template operator()<4>();
  run.template operator()<2>();
  run.template operator()<1>();
}

/// The largest score of one query in log2 units.
template <class W>
inline float narrow_top(const NarrowTask& t, index_t row, index_t first, index_t num) {
  Vec top = Vec{} - INFINITY;
  for (index_t key = 0; key < num; key += kLanes) {
    Vec acc[1][1] = {};
    dot_tile<W>(acc, t.q + row * t.dk_words, t.dk_words, t.k_by_key + key, kKeyBlock, t.dk_words);
    top = max(top, seen_lanes(first + key, t.seen[row]) ? acc[0][0] * t.c : top);
  }
  return max_of(top);
}

/// The sum of the weights of a tile of keys.
inline float sum_of_tile(const float* p) {
  return ((p[0] + p[1]) + (p[2] + p[3])) + (p[4] + p[5]);
}
/// The sum of a query's weights, in the order of the wide kernel's tiles.
inline float add_weights_to(float sum, const float* p, index_t num) {
  for (index_t j = 0; j < num; j += kTileKeys) sum += sum_of_tile(p + j);
  return sum;
}

template <class W>
HADAL_INLINE void weights_to_words([[maybe_unused]] const NarrowTask& t, [[maybe_unused]] index_t num_rows) {
#if defined(HADAL_ISA_IS_avx512)
  if constexpr (W::kPair == 2) {
    for (index_t i = 0; i < num_rows * kKeyBlock; i += 16) {
      const __m512i rounded = _mm512_add_epi32(_mm512_loadu_si512(t.p + i), _mm512_set1_epi32(0x8000));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(t.weights + i / 2),
                          _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
    }
  }
#endif
}

/// out (=|+=) weights . v for kRows queries from `row` on and kVecs vectors of channels from `channel` on.
template <class W, int kRows, int kVecs>
[[gnu::noinline]] void narrow_product(NarrowTask& t, index_t row, index_t channel, index_t num_words, bool add) {
  Vec acc[kRows][kVecs] = {};
  dot_and_ask<W>(acc, t.next, t.weights + row * (kKeyBlock / W::kPair), kKeyBlock / W::kPair, t.v + channel, t.v_stride,
                 num_words);
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int i = 0; i < kVecs; ++i) {
      float* to = t.out + (row + m) * t.out_stride + channel + i * kLanes;
      store(to, add ? load(to) + acc[m][i] : acc[m][i]);
    }
  }
}
template <class W, int kRows>
inline void narrow_products(NarrowTask& t, index_t row, index_t num_words, bool add) {
  constexpr int kVecs = kRows == 1 ? 2 * kNarrowRows : 4;
  index_t u = 0;
  const auto run = [&]<int kColumns>() {
    for (; u + kColumns * kLanes <= t.out_stride; u += kColumns * kLanes)
      narrow_product<W, kRows, kColumns>(t, row, u, num_words, add);
  };
  run.template operator()<kVecs>();
  run.template operator()<2>();
  run.template operator()<1>();
}

/// One block of `num` keys, packed, for kRows queries.
template <class W, int kRows>
inline void narrow_add_keys(NarrowTask& t, index_t row, index_t first, index_t num) {
  narrow_weights<W, kRows>(t, row, first, num);
  for (index_t r = row; r < row + kRows; ++r) {
    const float before = t.sum[r];
    t.sum[r] = add_weights_to(before, t.p + r * kKeyBlock, num);
    if (t.sum[r] > kMinSum && t.sum[r] < kMaxSum) continue;
    const MovedShift moved = moved_shift(narrow_top<W>(t, r, first, num), t.shift[r], before, first > 0);
    t.shift[r] = moved.shift;
    if (first > 0)
      for (index_t u = 0; u < t.out_stride; ++u) t.out[r * t.out_stride + u] *= moved.factor;
    narrow_weights<W, 1>(t, r, first, num);
    t.sum[r] = add_weights_to(before * moved.factor, t.p + r * kKeyBlock, num);
  }
}

template <class T>
HADAL_INLINE void store_output(T* to, Vec v, index_t n) {
#if defined(HADAL_ISA_IS_avx512)
  if constexpr (std::is_same_v<T, bf16>) {
    const __mmask16 mask = static_cast<__mmask16>(n >= 16 ? 0xFFFF : (1U << n) - 1);
    _mm256_mask_storeu_epi16(to, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v))));
    return;
  }
#endif
  if (n >= kLanes)
    store(to, v);
  else
    store_first(to, v, n);
}

/// Queries [first_query, first_query + num) of a segment and key head; num <= kNarrowLanes.
template <class W>
struct NarrowQueries {
  using T = typename W::Element;
  const AttentionInputs& in;
  const AttentionSegment& segment;
  index_t key_head, first_query, num;
  QueryLanes lanes{segment, in.q.heads / in.k.heads};

  index_t row(index_t i) const { return segment.q_begin + (first_query + i) / lanes.group; }
  index_t head(index_t i) const { return key_head * lanes.group + (first_query + i) % lanes.group; }
  index_t num_keys() const { return lanes.keys_seen(first_query + num - 1); }
  index_t out_stride() const { return round_up(in.v.dim, kLanes); }

  KeyBlocks<T> blocks(const NarrowTask& t) const {
    return {in, segment, key_head, reinterpret_cast<T*>(t.wide_k), reinterpret_cast<T*>(t.wide_v)};
  }

  /// Those of a block of keys.
  PacedRows rows(index_t first) const { return blocks({}).rows(first, std::min(kKeyBlock, num_keys() - first)); }

  /// Buffers in the worker's scratch, with the queries.
  NarrowTask begin(Exec& ex, int worker) const {
    NarrowTask t;
    t.dk_words = words_of<W>(in.q.dim), t.k_stride = round_up(t.dk_words, 16), t.out_stride = out_stride();
    t.c = in.scale * kLog2E;
    const auto carve = [&](Carver carver) {
      t.wide_k = carver.take(blocks(t).k_words());
      t.wide_v = carver.take(blocks(t).v_words());
      t.q = carver.take(kNarrowLanes * t.dk_words + kSlack);
      t.k = carver.take(kKeyBlock * t.k_stride + kSlack);
      t.k_by_key = carver.take((t.k_stride + 16) * kKeyBlock);  // both parts of a row end with a whole vector
      t.packed_v = carver.take(words_of<W>(kKeyBlock) * t.out_stride + kSlack);
      t.p = carver.take(kNarrowLanes * kKeyBlock);
      t.weights = W::kPair == 1 ? t.p : carver.take(kNarrowLanes * kKeyBlock / W::kPair);
      t.out = carver.take(kNarrowLanes * t.out_stride);
      return carver.used();
    };
    const index_t bytes = carve(Carver(nullptr));
    carve(Carver(ex.scratch(worker, bytes)));
    for (index_t i = 0; i < num; ++i) {
      copy_words<W>(t.q + i * t.dk_words, in.q.at<T>(row(i), head(i)), in.q.dim);
      t.seen[i] = lanes.keys_seen(first_query + i);
    }
    return t;
  }

  /// Packs the block of keys that starts at key `first`. Returns the number of its keys.
  index_t pack_keys(NarrowTask& t, index_t first) const {
    const KeyBlocks<T> from = blocks(t);
    const index_t keys = std::min(kKeyBlock, num_keys() - first);
    from.widen(first, keys);
    transpose_keys(t, from.keys(first), keys);
    const RowSource<T> values = from.values(first);
    t.v = t.packed_v, t.v_stride = t.out_stride;
    if constexpr (std::is_same_v<T, float>)
      if (values.first_dim % kLanes == 0) t.v = values.first, t.v_stride = values.first_stride;
    if (t.v == t.packed_v) pack_along_rows<W>(t.packed_v, t.v_stride, values, keys);
    return keys;
  }
  void transpose_keys(const NarrowTask& t, const RowSource<T>& from, index_t keys) const {
    if (from.first_dim % W::kPair == 0) {
      if (from.first_dim > 0) transpose_words<W>(t.k_by_key, from.first, from.first_stride, from.first_dim, keys);
      if (from.second_dim > 0)
        transpose_words<W>(t.k_by_key + from.first_dim / W::kPair * kKeyBlock, from.second, from.second_stride,
                           from.second_dim, keys);
      return;
    }
    pack_rows<W>(t.k, t.k_stride, from, keys, keys);  // a pair lies across the parts
    transpose_words<W>(t.k_by_key, reinterpret_cast<const T*>(t.k), t.k_stride * W::kPair, t.dk_words * W::kPair, keys);
  }

  /// t.out (=|+=) weights . v of the packed block.
  void add_products(NarrowTask& t, index_t keys, bool add) const {
    weights_to_words<W>(t, num);
    index_t i = 0;
    for (; i + kNarrowRows <= num; i += kNarrowRows) narrow_products<W, kNarrowRows>(t, i, words_of<W>(keys), add);
    for (; i < num; ++i) narrow_products<W, 1>(t, i, words_of<W>(keys), add);
    t.next.ask_all();
  }

  /// The result of query i from its sums.
  void finish(Heads out, View lse_HT, index_t i, const float* products, float sum, float shift) const {
    const Vec factor = splat(1.0F / sum);
    for (index_t u = 0; u < in.v.dim; u += kLanes)
      store_output(out.at<T>(row(i), head(i)) + u, load(products + u) * factor, in.v.dim - u);
    if (lse_HT.empty()) return;
    alignas(64) float log_sum[kLanes];
    store(log_sum, log2_of(splat(sum)));
    lse_HT.as<float>()(head(i), row(i)) = (shift + log_sum[0]) * (1.0F / kLog2E);
  }

  /// after: what this worker is likely to read then.
  void run(Exec& ex, int worker, Heads out, View lse_HT, const PacedRows& after) const {
    NarrowTask t = begin(ex, worker);
    const index_t end = num_keys();
    for (index_t first = 0; first < end; first += kKeyBlock) {
      const index_t keys = pack_keys(t, first);
      t.next = first + kKeyBlock < end ? rows(first + kKeyBlock) : after;
      index_t i = 0;
      for (; i + kNarrowRows <= num; i += kNarrowRows) narrow_add_keys<W, kNarrowRows>(t, i, first, keys);
      for (; i < num; ++i) narrow_add_keys<W, 1>(t, i, first, keys);
      add_products(t, keys, first > 0);
    }
    for (index_t i = 0; i < num; ++i) finish(out, lse_HT, i, t.out + i * t.out_stride, t.sum[i], t.shift[i]);
  }
};

#endif  // HADAL_KERNELS_CPU_ATTENTION_NARROW_H_
