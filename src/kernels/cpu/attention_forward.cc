#include <algorithm>
#include <array>
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

#include "kernels/cpu/attention_softmax.h"

#include "kernels/cpu/attention_narrow.h"

#include "kernels/cpu/attention_split.h"

namespace {

// Queries that share one packing of the keys: enough that packing costs a few per cent, few enough to spread the work.
constexpr index_t kTaskLanes = 256;
// Up to so many queries of a segment and key head the lanes are keys.
constexpr index_t kMaxNarrow = 2 * kNarrowLanes;
/// The online softmax of one block of queries.
struct ForwardBlock {
  float* q = nullptr;      // [words of dk][lanes]
  float* out = nullptr;    // [dv][lanes], not divided by sum
  float* shift = nullptr;  // [lanes], log2 units
  float* sum = nullptr;    // [lanes], of 2^(x - shift)
};

struct PackedKeys {
  float* k = nullptr;  // [keys][words of dk]
  float* v = nullptr;  // [words of keys][dv]
  index_t k_stride = 0, v_stride = 0, dk_words = 0, dv = 0, num = 0;
};

/// Weights 2^(c * score - shift) of kTileKeys keys as operands for the product with the values; adds them to the sums.
/// thresholds: of the first key of the tile; `group` more for each further key.
template <class W, int kFirst, bool kMasked>
[[gnu::noinline]] void weights_tile(float* weights, const ForwardBlock& block, const float* k, const PackedKeys& keys,
                                    float c, index_t threshold, index_t group) {
  Vec acc[kTileKeys][kQueryVecs - kFirst] = {};
  dot_tile<W>(acc, k, keys.k_stride, block.q + kFirst * kLanes, kQueryLanes, keys.dk_words);
  Vec p[kTileKeys][kQueryVecs];
  weights_of<W, kFirst, kMasked>(p, acc, block.shift, c, threshold, group);
#pragma GCC unroll 8
  for (int v = kFirst; v < kQueryVecs; ++v) {
    float* sum = block.sum + v * kLanes;
    store(sum, load(sum) + (((p[0][v] + p[1][v]) + (p[2][v] + p[3][v])) + (p[4][v] + p[5][v])));
  }
  store_by_query<W, kFirst>(weights, p);
}

/// top = max(top, c * score) over the keys that each lane sees.
template <class W>
[[gnu::noinline]] void max_tile(float* top, const ForwardBlock& block, const float* k, const PackedKeys& keys, float c,
                                index_t threshold, index_t group) {
  Vec acc[kTileKeys][kQueryVecs] = {};
  dot_tile<W>(acc, k, keys.k_stride, block.q, kQueryLanes, keys.dk_words);
#pragma GCC unroll 8
  for (int v = 0; v < kQueryVecs; ++v) {
    Vec best = load(top + v * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kTileKeys; ++m) {
      const VecI seen = lane_numbers() >= static_cast<std::int32_t>(threshold + m * group - v * kLanes);
      best = max(best, seen ? acc[m][v] * c : best);
    }
    store(top + v * kLanes, best);
  }
}

template <class W>
struct Forward {
  using T = typename W::Element;
  const AttentionInputs& in;
  const AttentionSegment& segment;
  index_t key_head;
  QueryLanes lanes;
  float c;         // scale * log2(e)
  float* weights;  // [words of a key block][lanes]

  /// All tiles of one block of queries and one block of keys that starts at key `first`.
  void add_weights(const ForwardBlock& b, const PackedKeys& keys, index_t block, index_t first) const {
    for (index_t j = 0; j < keys.num; j += kTileKeys) {
      const index_t threshold = lanes.threshold(block, first + j);
      if (threshold >= kQueryLanes) break;
      const int skipped = static_cast<int>(std::max(threshold, lanes.first_valid(block)) / kLanes);
      const bool masked = threshold + (kTileKeys - 1) * lanes.group > skipped * kLanes;
      float* to = weights + j / W::kPair * kQueryLanes;
      const float* k = keys.k + j * keys.k_stride;
      const auto run = [&]<int kFirst>() {
        if (masked)
          weights_tile<W, kFirst, true>(to, b, k, keys, c, threshold, lanes.group);
        else
          weights_tile<W, kFirst, false>(to, b, k, keys, c, threshold, lanes.group);
      };
      if (skipped == 0) run.template operator()<0>();
      if (skipped == 1) run.template operator()<1>();
#if defined(HADAL_ISA_IS_avx512)
      if (skipped == 2) run.template operator()<2>();
      if (skipped == 3) run.template operator()<3>();
#endif
    }
  }

  /// After a sum left its range: gives those lanes a shift that suits all keys so far. sum: from before this block of
  /// keys.
  void move_shifts(const ForwardBlock& b, const float* sum_before, const PackedKeys& keys, index_t block,
                   index_t first) const {
    alignas(64) float top[kQueryLanes];
    alignas(64) float factor[kQueryLanes];
    std::fill_n(top, kQueryLanes, -INFINITY);
    for (index_t j = 0; j < keys.num; j += kTileKeys) {
      const index_t threshold = lanes.threshold(block, first + j);
      if (threshold >= kQueryLanes) break;
      max_tile<W>(top, b, keys.k + j * keys.k_stride, keys, c, threshold, lanes.group);
    }
    for (int lane = 0; lane < kQueryLanes; ++lane) {
      const bool in_range = b.sum[lane] > kMinSum && b.sum[lane] < kMaxSum;
      const MovedShift moved = in_range ? MovedShift{b.shift[lane], 1.0F}
                                        : moved_shift(top[lane], b.shift[lane], sum_before[lane], first > 0);
      b.shift[lane] = moved.shift;
      b.sum[lane] = sum_before[lane] * moved.factor;
      factor[lane] = moved.factor;
    }
    if (first == 0) return;
    for (index_t u = 0; u < keys.dv; ++u)
      for (int lane = 0; lane < kQueryLanes; ++lane) b.out[u * kQueryLanes + lane] *= factor[lane];
  }

  void add_keys(const ForwardBlock& b, const PackedKeys& keys, index_t block, index_t first) const {
    alignas(64) float sum_before[kQueryLanes];
    std::copy_n(b.sum, kQueryLanes, sum_before);
    add_weights(b, keys, block, first);
    bool in_range = true;
    for (int lane = 0; lane < kQueryLanes; ++lane) in_range &= b.sum[lane] > kMinSum && b.sum[lane] < kMaxSum;
    if (!in_range) {
      move_shifts(b, sum_before, keys, block, first);
      add_weights(b, keys, block, first);
    }
    const RaggedEnds ends = lanes.ragged_ends<W>(block, first, keys.num);
    ragged_product<W>(b.out, keys.v, keys.v_stride, weights, ends, keys.dv, first > 0);
  }

  void begin(const ForwardBlock& b, index_t block) const {
    const T* rows[kQueryLanes];
    lane_rows(rows, in.q, segment, key_head, lanes, block);
    pack_by_query<W>(b.q, rows, in.q.dim);
    std::fill_n(b.shift, kQueryLanes, 0.0F);
    // Lanes without a query start in range and are never looked at.
    for (int lane = 0; lane < kQueryLanes; ++lane) b.sum[lane] = rows[lane] == nullptr ? 1.0F : 0.0F;
  }

  void end(const ForwardBlock& b, index_t block, Heads out, View lse_HT) const {
    T* rows[kQueryLanes];
    lane_rows(rows, out, segment, key_head, lanes, block);
    alignas(64) float factor[kQueryLanes];
    alignas(64) float lse[kQueryLanes];
    for (int v = 0; v < kQueryLanes; v += kLanes) {
      const Vec sum = load(b.sum + v);
      store(factor + v, 1.0F / sum);
      store(lse + v, (load(b.shift + v) + log2_of(sum)) * (1.0F / kLog2E));
    }
    unpack_by_query(rows, b.out, in.v.dim, factor);
    if (lse_HT.empty()) return;
    float* lse_rows[kQueryLanes];
    lane_rows(lse_rows, heads_of_statistics(lse_HT), segment, key_head, lanes, block);
    for (int lane = 0; lane < kQueryLanes; ++lane)
      if (lse_rows[lane] != nullptr) *lse_rows[lane] = lse[lane];
  }
};

struct ForwardTask {
  index_t segment, key_head;
  index_t begin, end;  // blocks of queries; narrow: queries
  bool narrow;
};

std::vector<ForwardTask> forward_tasks(const AttentionInputs& in) {
  constexpr index_t kBlocks = kTaskLanes / kQueryLanes;
  std::vector<ForwardTask> tasks;
  for (index_t s = 0; s < static_cast<index_t>(in.segments.size()); ++s) {
    const QueryLanes lanes(in.segments[static_cast<std::size_t>(s)], in.q.heads / in.k.heads);
    const bool narrow = lanes.count <= kMaxNarrow;
    const index_t step = narrow ? kNarrowLanes : kBlocks;
    // The last queries see most keys: they go first, so that the end of the loop is evenly filled.
    for (index_t end = narrow ? lanes.count : lanes.num_blocks(); end > 0; end -= std::min(end, step))
      for (index_t h = 0; h < in.k.heads; ++h) tasks.push_back({s, h, std::max<index_t>(end - step, 0), end, narrow});
  }
  return tasks;
}

template <class W>
void run_task(Exec& ex, int worker, Heads out, View lse_HT, const AttentionInputs& in, const ForwardTask& task) {
  using T = typename W::Element;
  const AttentionSegment& segment = in.segments[static_cast<std::size_t>(task.segment)];
  const QueryLanes lanes(segment, in.q.heads / in.k.heads);
  PackedKeys keys{.k_stride = words_of<W>(in.q.dim),
                  .v_stride = round_up(in.v.dim, kLanes),
                  .dk_words = words_of<W>(in.q.dim),
                  .dv = in.v.dim};
  std::vector<ForwardBlock> blocks(static_cast<std::size_t>(task.end - task.begin));
  float* weights = nullptr;
  KeyBlocks<T> source{in, segment, task.key_head};
  const auto carve = [&](Carver carver) {
    source.wide_k = reinterpret_cast<T*>(carver.take(source.k_words()));
    source.wide_v = reinterpret_cast<T*>(carver.take(source.v_words()));
    keys.k = carver.take(kKeyBlock * keys.k_stride + kSlack);
    keys.v = carver.take(words_of<W>(kKeyBlock) * keys.v_stride + kSlack);
    weights = carver.take(words_of<W>(kKeyBlock) * kQueryLanes);
    for (ForwardBlock& b : blocks)
      b = {carver.take(keys.dk_words * kQueryLanes), carver.take(in.v.dim * kQueryLanes), carver.take(kQueryLanes),
           carver.take(kQueryLanes)};
    return carver.used();
  };
  const index_t bytes = carve(Carver(nullptr));
  carve(Carver(ex.scratch(worker, bytes)));

  const Forward<W> forward{in, segment, task.key_head, lanes, in.scale * kLog2E, weights};
  const index_t num_keys = lanes.keys_seen_by_block(task.end - 1);
  const auto prefetch_keys = [&](index_t first) {
    source.rows(first, std::min(kKeyBlock, num_keys - first)).ask_all();
  };
  prefetch_block(in.q, segment, task.key_head, lanes, task.begin);
  prefetch_keys(0);
  for (index_t first = 0; first < num_keys; first += kKeyBlock) {
    keys.num = std::min(kKeyBlock, num_keys - first);
    source.widen(first, keys.num);
    pack_rows<W>(keys.k, keys.k_stride, source.keys(first), keys.num, round_up(keys.num, kTileKeys));
    pack_along_rows<W>(keys.v, keys.v_stride, source.values(first), keys.num);
    if (first + kKeyBlock < num_keys) prefetch_keys(first + kKeyBlock);
    for (index_t block = task.begin; block < task.end; ++block) {
      const ForwardBlock& b = blocks[static_cast<std::size_t>(block - task.begin)];
      if (first == 0) {
        prefetch_block(in.q, segment, task.key_head, lanes, block + 1 < task.end ? block + 1 : -1);
        forward.begin(b, block);
      }
      const index_t seen = lanes.keys_seen_by_block(block);
      if (seen <= first) continue;
      const bool last = seen <= first + kKeyBlock;
      if (last) prefetch_block<1>(out, segment, task.key_head, lanes, block);
      forward.add_keys(b, keys, block, first);
      if (last) forward.end(b, block, out, lse_HT);
    }
  }
}

/// A single narrow task over many keys: fewer tasks than threads.
template <class W>
bool run_alone(Exec& ex, Heads out, View lse_HT, const AttentionInputs& in, const ForwardTask& task) {
  constexpr index_t kLeastKeys = 2 * kKeyBlock;
  const NarrowQueries<W> queries{in, in.segments[static_cast<std::size_t>(task.segment)], task.key_head, task.begin,
                                 task.end - task.begin};
  if (ex.pool.num_threads() == 1 || queries.num_keys() < kLeastKeys) return false;
  return SplitAttention<W>(queries).run(ex, out, lse_HT);
}

template <class W>
void run_forward(Exec& ex, Heads out, View lse_HT, const AttentionInputs& in) {
  const std::vector<ForwardTask> tasks = forward_tasks(in);
  const auto narrow_queries = [&](const ForwardTask& t) {
    return NarrowQueries<W>{in, in.segments[static_cast<std::size_t>(t.segment)], t.key_head, t.begin, t.end - t.begin};
  };
  if (tasks.size() == 1 && tasks[0].narrow && run_alone<W>(ex, out, lse_HT, in, tasks[0])) return;
  ex.pool.parallel_for(static_cast<index_t>(tasks.size()), [&](index_t task, int worker) {
    const ForwardTask& t = tasks[static_cast<std::size_t>(task)];
    if (!t.narrow) return run_task<W>(ex, worker, out, lse_HT, in, t);
    // Many short sequences are bound by the way to their keys: those of the task that this worker takes next, likely.
    const auto next = static_cast<std::size_t>(task + ex.pool.num_threads());
    const bool known = next < tasks.size() && tasks[next].narrow;
    narrow_queries(t).run(ex, worker, out, lse_HT, known ? narrow_queries(tasks[next]).rows(0) : PacedRows());
  });
}

}  // namespace

void attention_forward(Exec& ex, Heads out, View lse_HT, const AttentionInputs& in) {
  switch (in.q.dtype) {
    case DType::kF32:
      return run_forward<F32Words<float>>(ex, out, lse_HT, in);
#if defined(HADAL_ISA_IS_avx512)
    case DType::kBF16:
      return run_forward<Bf16Words>(ex, out, lse_HT, in);
#else
    case DType::kBF16:
      return run_forward<F32Words<bf16>>(ex, out, lse_HT, in);
#endif
    default:
      return ref::attention_forward(ex, out, lse_HT, in);
  }
}

#include "kernels/cpu/isa_end.h"
