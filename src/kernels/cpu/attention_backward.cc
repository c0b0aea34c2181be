#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/coded_rows.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

#include "kernels/cpu/small_floats.h"

#include "kernels/cpu/attention_tiles.h"

#include "kernels/cpu/attention_pack.h"

#include "kernels/cpu/attention_layout.h"

namespace {

/// What the backward pass needs of one block of queries, packed once and met by every block of keys.
struct QueryBlock {
  float* q = nullptr;        // [words of dk][lanes]
  float* dout = nullptr;     // [words of dv][lanes]
  float* q_along = nullptr;  // [words of lanes][dk]
  float* dout_along = nullptr;
  float* lse = nullptr;    // [lanes], log2 units; huge where there is no query, so that its weights are zero
  float* delta = nullptr;  // [lanes], sum_u dout_u out_u
  float* dq = nullptr;     // [dk][lanes], without the scale
};

struct KeyBlock {
  float* k = nullptr;        // [keys][words of dk]
  float* v = nullptr;        // [keys][words of dv]
  float* k_along = nullptr;  // [words of keys][dk]
  float* dk = nullptr;       // [keys][dk], without the scale
  float* dv = nullptr;       // [keys][dv]
  index_t num = 0;
};

/// Weights and score gradients of one block of keys and one block of queries.
struct Scores {
  float* p_by_key = nullptr;     // [keys][words of lanes]
  float* ds_by_key = nullptr;    // [keys][words of lanes]
  float* ds_by_query = nullptr;  // [words of keys][lanes]; the same buffer as ds_by_key when words are f32
};

struct Sizes {
  index_t dk, dv, dk_words, dv_words;
  index_t k_stride, v_stride;    // words between rows of keys and values
  index_t dk_stride, dv_stride;  // words between rows of channels, whole vectors
  float c;                       // scale * log2(e)
};

/// Writes p[m][v] as words along the queries: to[key][query / kPair]. Only vectors kFirst and up (and what shares a
/// store with them).
template <class W, int kFirst>
HADAL_INLINE void store_by_key(float* to, const Vec (&p)[kTileKeys][kQueryVecs]) {
#pragma GCC unroll 8
  for (int m = 0; m < kTileKeys; ++m) {
    if constexpr (W::kPair == 1) {
#pragma GCC unroll 8
      for (int v = kFirst; v < kQueryVecs; ++v) store(to + m * kQueryLanes + v * kLanes, p[m][v]);
    }
#if defined(HADAL_ISA_IS_avx512)
    if constexpr (W::kPair == 2) {
#pragma GCC unroll 8
      for (int v = kFirst / 2 * 2; v < kQueryVecs; v += 2) {
        const __m512 low = reinterpret_cast<__m512>(p[m][std::max(v, kFirst)]),
                     high = reinterpret_cast<__m512>(p[m][v + 1]);
        _mm512_storeu_si512(to + (m * kQueryVecs + v) * (kLanes / 2),
                            reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
      }
    }
#endif
  }
}

/// One tile of kTileKeys keys: recomputes the weights from lse, then the gradient of the scores.
template <class W, int kFirst, bool kMasked>
[[gnu::noinline]] void scores_tile(const Scores& to, const QueryBlock& queries, const KeyBlock& keys, const Sizes& n,
                                   index_t key, index_t threshold, index_t group) {
  Vec p[kTileKeys][kQueryVecs];
  {
    Vec acc[kTileKeys][kQueryVecs - kFirst] = {};
    dot_tile<W>(acc, keys.k + key * n.k_stride, n.k_stride, queries.q + kFirst * kLanes, kQueryLanes, n.dk_words);
    weights_of<W, kFirst, kMasked>(p, acc, queries.lse, n.c, threshold, group);
    store_by_key<W, kFirst>(to.p_by_key + key * (kQueryLanes / W::kPair), p);
  }
  Vec acc[kTileKeys][kQueryVecs - kFirst] = {};
  dot_tile<W>(acc, keys.v + key * n.v_stride, n.v_stride, queries.dout + kFirst * kLanes, kQueryLanes, n.dv_words);
#pragma GCC unroll 8
  for (int v = kFirst; v < kQueryVecs; ++v) {
    const Vec delta = load(queries.delta + v * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kTileKeys; ++m) p[m][v] *= acc[m][v - kFirst] - delta;
  }
  store_by_key<W, kFirst>(to.ds_by_key + key * (kQueryLanes / W::kPair), p);
  if constexpr (W::kPair == 2) store_by_query<W, kFirst>(to.ds_by_query + key / W::kPair * kQueryLanes, p);
}

template <class W, int kVecs>
[[gnu::noinline]] void key_gradient_tile(float* out, index_t out_stride, const float* a, index_t a_stride,
                                         const float* b, index_t num_words, bool add) {
  for (int m = 0; m < kTileKeys; ++m)
    for (int v = 0; v < kVecs; ++v) __builtin_prefetch(out + m * out_stride + v * kLanes, 1, 3);
  Vec acc[kTileKeys][kVecs] = {};
  dot_tile<W>(acc, a, a_stride, b, out_stride, num_words);
#pragma GCC unroll 8
  for (int m = 0; m < kTileKeys; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) {
      float* to = out + m * out_stride + v * kLanes;
      store(to, add ? load(to) + acc[m][v] : acc[m][v]);
    }
  }
}

/// out[key][channel] (=|+=) sum over queries of a[key][query] b[query][channel] for the kTileKeys keys of a tile; out
/// and b have rows of `stride` words, a whole number of vectors.
template <class W>
inline void key_gradient(float* out, index_t stride, const float* a, const float* b, index_t first_lane, bool add) {
  const index_t first = first_lane / W::kPair, num = kQueryLanes / W::kPair - first;
  const index_t vecs = stride / kLanes, tiles = (vecs + kQueryVecs - 1) / kQueryVecs;
  index_t v = 0;
  for (index_t tile = 0; tile < tiles; ++tile) {
    const index_t width = (vecs - v) / (tiles - tile);
    float* to = out + v * kLanes;
    const float* from = b + first * stride + v * kLanes;
    switch (width) {
      case 1:
        key_gradient_tile<W, 1>(to, stride, a + first, kQueryLanes / W::kPair, from, num, add);
        break;
      case 2:
        key_gradient_tile<W, 2>(to, stride, a + first, kQueryLanes / W::kPair, from, num, add);
        break;
#if defined(HADAL_ISA_IS_avx512)
      case 3:
        key_gradient_tile<W, 3>(to, stride, a + first, kQueryLanes / W::kPair, from, num, add);
        break;
      default:
        key_gradient_tile<W, 4>(to, stride, a + first, kQueryLanes / W::kPair, from, num, add);
        break;
#endif
    }
    v += width;
  }
}

/// Rows [num][n] of f32 times factor, rounded into rows of T.
template <class T>
inline void write_rows(T* to, index_t to_stride, const float* from, index_t from_stride, index_t num, index_t n,
                       float factor) {
  for (index_t r = 0; r < num; ++r) {
    const float* row = from + r * from_stride;
    T* out = to + r * to_stride;
    index_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(out + i, load(row + i) * factor);
    if (i < n) store_first(out + i, load(row + i) * factor, n - i);
  }
}

/// All queries and all keys of one key head of one segment.
template <class W>
struct Backward {
  using T = typename W::Element;
  const AttentionInputs& in;
  const AttentionSegment& segment;
  index_t key_head;
  QueryLanes lanes;
  Sizes n;

  void pack_queries(const QueryBlock& b, float* out_by_query, index_t block, ConstHeads dout, ConstHeads out,
                    ConstView lse_HT) const {
    const T *q_rows[kQueryLanes], *dout_rows[kQueryLanes], *out_rows[kQueryLanes];
    const float* lse_rows[kQueryLanes];
    lane_rows(q_rows, in.q, segment, key_head, lanes, block);
    lane_rows(dout_rows, dout, segment, key_head, lanes, block);
    lane_rows(out_rows, out, segment, key_head, lanes, block);
    lane_rows(lse_rows, heads_of_statistics(lse_HT), segment, key_head, lanes, block);
    pack_by_query<W>(b.q, q_rows, n.dk);
    pack_by_query<W>(b.dout, dout_rows, n.dv);
    pack_by_query<W>(out_by_query, out_rows, n.dv);
    pack_along_lanes<W>(b.q_along, n.dk_stride, q_rows, n.dk);
    pack_along_lanes<W>(b.dout_along, n.dv_stride, dout_rows, n.dv);
    for (int v = 0; v < kQueryLanes; v += kLanes) {
      Vec acc = {};
      for (index_t w = 0; w < n.dv_words; ++w)
        acc = W::dot(acc, load(b.dout + w * kQueryLanes + v), load(out_by_query + w * kQueryLanes + v));
      store(b.delta + v, acc);
    }
    for (int lane = 0; lane < kQueryLanes; ++lane)
      b.lse[lane] = lse_rows[lane] == nullptr ? 1e30F : *lse_rows[lane] * kLog2E;
  }

  void scores(const Scores& to, const QueryBlock& queries, const KeyBlock& keys, index_t block, index_t first,
              bool add) const {
    for (index_t j = 0; j < keys.num; j += kTileKeys) {
      const index_t threshold = lanes.threshold(block, first + j);
      if (threshold >= kQueryLanes) break;
      const index_t first_lane = std::max(threshold, lanes.first_valid(block));
      const int skipped = static_cast<int>(first_lane / kLanes);
      const bool masked = threshold + (kTileKeys - 1) * lanes.group > skipped * kLanes;
      const auto run = [&]<int kFirst>() {
        if (masked)
          scores_tile<W, kFirst, true>(to, queries, keys, n, j, threshold, lanes.group);
        else
          scores_tile<W, kFirst, false>(to, queries, keys, n, j, threshold, lanes.group);
      };
      if (skipped == 0) run.template operator()<0>();
      if (skipped == 1) run.template operator()<1>();
#if defined(HADAL_ISA_IS_avx512)
      if (skipped == 2) run.template operator()<2>();
      if (skipped == 3) run.template operator()<3>();
#endif
      const index_t by_key = j * (kQueryLanes / W::kPair);
      key_gradient<W>(keys.dv + j * n.dv_stride, n.dv_stride, to.p_by_key + by_key, queries.dout_along, first_lane,
                      add);
      key_gradient<W>(keys.dk + j * n.dk_stride, n.dk_stride, to.ds_by_key + by_key, queries.q_along, first_lane, add);
    }
    const RaggedEnds ends = lanes.ragged_ends<W>(block, first, keys.num);
    ragged_product<W>(queries.dq, keys.k_along, n.dk_stride, to.ds_by_query, ends, n.dk, first > 0);
  }
};

/// Where the gradient of the shared key part goes before the heads are summed: f32 [key heads][S][R].
struct SharedParts {
  float* data = nullptr;
  index_t rows = 0, dim = 0;
  float* at(index_t key_head, index_t row) const { return data + (key_head * rows + row) * dim; }
};

template <class W>
void run_task(Exec& ex, int worker, const AttentionGrads& grads, const SharedParts& shared, ConstHeads dout,
              ConstHeads out, ConstView lse_HT, const AttentionInputs& in, const AttentionSegment& segment,
              index_t key_head) {
  using T = typename W::Element;
  const QueryLanes lanes(segment, in.q.heads / in.k.heads);
  const index_t dk = in.q.dim, dv = in.v.dim;
  const Sizes n{.dk = dk,
                .dv = dv,
                .dk_words = words_of<W>(dk),
                .dv_words = words_of<W>(dv),
                .k_stride = W::kPair == 1 ? round_up(dk, kLanes) : words_of<W>(dk),
                .v_stride = words_of<W>(dv),
                .dk_stride = round_up(dk, kLanes),
                .dv_stride = round_up(dv, kLanes),
                .c = in.scale * kLog2E};
  std::vector<QueryBlock> blocks(static_cast<std::size_t>(lanes.num_blocks()));
  KeyBlock keys;
  Scores scores;
  float* out_by_query = nullptr;
  const auto carve = [&](Carver carver) {
    keys.k = carver.take(kKeyBlock * n.k_stride + kSlack);
    keys.v = carver.take(kKeyBlock * n.v_stride + kSlack);
    keys.k_along = W::kPair == 1 ? keys.k : carver.take(words_of<W>(kKeyBlock) * n.dk_stride + kSlack);
    keys.dk = carver.take(kKeyBlock * n.dk_stride);
    keys.dv = carver.take(kKeyBlock * n.dv_stride);
    scores.p_by_key = carver.take(kKeyBlock * kQueryLanes / W::kPair);
    scores.ds_by_key = carver.take(kKeyBlock * kQueryLanes / W::kPair);
    scores.ds_by_query = W::kPair == 1 ? scores.ds_by_key : carver.take(words_of<W>(kKeyBlock) * kQueryLanes);
    out_by_query = carver.take(n.dv_words * kQueryLanes);
    for (QueryBlock& b : blocks) {
      b.q = carver.take(n.dk_words * kQueryLanes);
      b.dout = carver.take(n.dv_words * kQueryLanes);
      b.q_along = carver.take(kQueryLanes / W::kPair * n.dk_stride + kSlack);
      b.dout_along = carver.take(kQueryLanes / W::kPair * n.dv_stride + kSlack);
      b.lse = carver.take(kQueryLanes);
      b.delta = carver.take(kQueryLanes);
      b.dq = carver.take(dk * kQueryLanes);
    }
    return carver.used();
  };
  const index_t bytes = carve(Carver(nullptr));
  carve(Carver(ex.scratch(worker, bytes)));

  const Backward<W> backward{in, segment, key_head, lanes, n};
  const RowSource<T> key_rows = key_source<T>(in, segment, key_head),
                     value_rows = value_source<T>(in, segment, key_head);
  const auto prefetch_keys = [&](index_t first) {
    const index_t num = std::min(kKeyBlock, segment.k_len - first);
    prefetch_rows(key_rows.from_row(first), num);
    prefetch_rows(value_rows.from_row(first), num);
  };
  const auto prefetch_queries = [&](index_t block) {
    prefetch_block(in.q, segment, key_head, lanes, block);
    prefetch_block(dout, segment, key_head, lanes, block);
    prefetch_block(out, segment, key_head, lanes, block);
  };
  prefetch_queries(lanes.num_blocks() - 1);
  prefetch_keys(0);
  alignas(64) float factors[kQueryLanes];
  std::fill_n(factors, kQueryLanes, in.scale);
  const index_t own = key_rows.first_dim;
  for (index_t first = 0; first < segment.k_len; first += kKeyBlock) {
    keys.num = std::min(kKeyBlock, segment.k_len - first);
    const index_t padded = round_up(keys.num, kTileKeys);
    pack_rows<W>(keys.k, n.k_stride, key_rows.from_row(first), keys.num, padded);
    pack_rows<W>(keys.v, n.v_stride, value_rows.from_row(first), keys.num, padded);
    if constexpr (W::kPair == 2) pack_along_rows<W>(keys.k_along, n.dk_stride, key_rows.from_row(first), keys.num);
    if (first + kKeyBlock < segment.k_len) prefetch_keys(first + kKeyBlock);
    // The last block of queries sees every key: it goes first and assigns, the others add.
    for (index_t block = lanes.num_blocks() - 1; block >= 0 && lanes.keys_seen_by_block(block) > first; --block) {
      const QueryBlock& b = blocks[static_cast<std::size_t>(block)];
      if (first == 0) {
        prefetch_queries(block - 1);
        backward.pack_queries(b, out_by_query, block, dout, out, lse_HT);
      }
      const bool last = lanes.keys_seen_by_block(block) <= first + kKeyBlock;
      if (last) prefetch_block<1>(grads.dq, segment, key_head, lanes, block);
      backward.scores(scores, b, keys, block, first, block + 1 < lanes.num_blocks());
      if (!last) continue;
      T* rows[kQueryLanes];
      lane_rows(rows, grads.dq, segment, key_head, lanes, block);
      unpack_by_query(rows, b.dq, dk, factors);
    }
    if (lanes.num_blocks() == 0) {
      std::fill_n(keys.dk, padded * n.dk_stride, 0.0F);
      std::fill_n(keys.dv, padded * n.dv_stride, 0.0F);
    }
    const index_t row = segment.k_begin + first;
    write_rows(grads.dv.at<T>(row, key_head), grads.dv.row_stride, keys.dv, n.dv_stride, keys.num, dv, 1);
    if (own > 0)
      write_rows(grads.dk.at<T>(row, key_head), grads.dk.row_stride, keys.dk, n.dk_stride, keys.num, own, in.scale);
    if (shared.dim > 0)
      write_rows(shared.at(key_head, row), shared.dim, keys.dk + own, n.dk_stride, keys.num, shared.dim, in.scale);
  }
}

/// dk_shared (=) the sum over the key heads, in their order.
template <class T>
void sum_heads(Exec& ex, Heads dk_shared, const SharedParts& shared, index_t key_heads,
               std::span<const AttentionSegment> segments) {
  constexpr index_t kRows = 64;
  std::vector<std::pair<index_t, index_t>> ranges;
  for (const AttentionSegment& s : segments)
    for (index_t j = 0; j < s.k_len; j += kRows) ranges.emplace_back(s.k_begin + j, std::min(kRows, s.k_len - j));
  ex.pool.parallel_for(static_cast<index_t>(ranges.size()), [&](index_t task, int) {
    const auto [begin, num] = ranges[static_cast<std::size_t>(task)];
    for (index_t row = begin; row < begin + num; ++row) {
      float* total = shared.at(0, row);
      for (index_t h = 1; h < key_heads; ++h)
        for (index_t d = 0; d < shared.dim; ++d) total[d] += shared.at(h, row)[d];
      for (index_t d = 0; d < shared.dim; ++d) round_to(dk_shared.at<T>(row, 0) + d, total[d]);
    }
  });
}

template <class W>
void run_backward(Exec& ex, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT,
                  const AttentionInputs& in) {
  SharedParts shared{.rows = in.k.rows, .dim = grads.dk_shared.empty() ? 0 : grads.dk_shared.dim};
  if (shared.dim > 0) shared.data = reinterpret_cast<float*>(ex.scratch(-1, in.k.heads * shared.rows * shared.dim * 4));
  const index_t heads = in.k.heads;
  ex.pool.parallel_for(static_cast<index_t>(in.segments.size()) * heads, [&](index_t task, int worker) {
    const AttentionSegment& segment = in.segments[static_cast<std::size_t>(task / heads)];
    run_task<W>(ex, worker, grads, shared, dout, out, lse_HT, in, segment, task % heads);
  });
  if (shared.dim > 0) sum_heads<typename W::Element>(ex, grads.dk_shared, shared, heads, in.segments);
}

}  // namespace

void attention_backward(Exec& ex, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT,
                        const AttentionInputs& in) {
  switch (in.q.dtype) {
    case DType::kF32:
      return run_backward<F32Words<float>>(ex, grads, dout, out, lse_HT, in);
#if defined(HADAL_ISA_IS_avx512)
    case DType::kBF16:
      return run_backward<Bf16Words>(ex, grads, dout, out, lse_HT, in);
#else
    case DType::kBF16:
      return run_backward<F32Words<bf16>>(ex, grads, dout, out, lse_HT, in);
#endif
    default:
      return ref::attention_backward(ex, grads, dout, out, lse_HT, in);
  }
}

#include "kernels/cpu/isa_end.h"
