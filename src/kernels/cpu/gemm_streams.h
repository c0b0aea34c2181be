// Runs the tasks of grouped products (gemm_plan.h). Products of a few rows wait for their packed weights: for them what
// counts is the order in which memory is read. Include inside the region that isa_begin.h opens, after <atomic>.
#ifndef HADAL_KERNELS_CPU_GEMM_STREAMS_H_
#define HADAL_KERNELS_CPU_GEMM_STREAMS_H_

#include "kernels/cpu/gemm_plan.h"

/// So few rows leave a product waiting for its packed weights.
inline constexpr index_t kStreamRows = 8;

/// Whether every group has few rows.
inline bool streams_weights(std::span<const GroupShape> groups) {
  return std::all_of(groups.begin(), groups.end(), [](const GroupShape& g) { return g.m <= kStreamRows; });
}

/// Panels that one thread reads from front to back, while threads without work take some from the back.
class alignas(64) PanelRun {
 public:
  using Range = StreamShare;
  void set(Range r) { range_.store(bits(r), std::memory_order_relaxed); }
  /// A quarter of what is left, at least `least` panels; none when all are taken.
  Range take_front(index_t least) {
    return take(
        [&](Range r) { return Range{r.first, std::min(r.first + std::max(least, (r.end - r.first) / 4), r.end)}; });
  }
  /// At most `most` panels.
  Range take_back(index_t most) {
    return take([&](Range r) { return Range{std::max(r.end - most, r.first), r.end}; });
  }

 private:
  static std::uint64_t bits(Range r) {
    return static_cast<std::uint64_t>(r.first) | static_cast<std::uint64_t>(r.end) << 32;
  }
  template <class Part>
  Range take(const Part& part) {
    std::uint64_t now = range_.load(std::memory_order_relaxed);
    while (true) {
      const Range r{static_cast<index_t>(now & 0xFFFFFFFF), static_cast<index_t>(now >> 32)};
      if (r.first >= r.end) return {};
      const Range taken = part(r);
      const Range left = taken.first == r.first ? Range{taken.end, r.end} : Range{r.first, taken.first};
      if (range_.compare_exchange_weak(now, bits(left), std::memory_order_relaxed)) return taken;
    }
  }
  std::atomic<std::uint64_t> range_{0};
};

/// The panels of all groups with rows, one after the other, are cut into a run for each worker: a long stream, which
/// the hardware fetches ahead (pieces of 32 KiB that threads take in turn reach half the bandwidth of two long
/// streams). Towards its end a run is handed out in small chunks, so that all workers end at about the same time.
template <class F>
void for_streams(Exec& ex, std::span<const GroupShape> groups, index_t n, const WeightStream& weights, index_t unit,
                 const F& f) {
  constexpr index_t kChunkBytes = 16 * 1024;
  std::vector<index_t> active;
  for (index_t e = 0; e < static_cast<index_t>(groups.size()); ++e)
    if (groups[static_cast<std::size_t>(e)].m > 0) active.push_back(e);
  const index_t panels = weights.panels, total = panels * std::ssize(active);
  HADAL_CHECK(total < index_t{1} << 32, "packed_gemm: ", total, " panels of one product");
  const int workers = ex.pool.num_threads();
  const index_t chunk = std::max<index_t>(1, kChunkBytes / std::max<index_t>(weights.panel_bytes, 1));
  std::vector<PanelRun> runs(static_cast<std::size_t>(workers));
  for (int w = 0; w < workers; ++w) runs[static_cast<std::size_t>(w)].set(StreamShare::of(total, w, workers));
  ex.read_order.begin(ex.pool, weights, active);
  ex.pool.parallel_for(std::min<index_t>(workers, total), [&](index_t, int worker) {
    const auto multiply = [&](PanelRun::Range range) {
      for (index_t p = range.first; p < range.end;) {
        const index_t e = active[static_cast<std::size_t>(p / panels)], first = p % panels;
        const index_t count = std::min(panels - first, range.end - p);
        f(Task{e, 0, groups[static_cast<std::size_t>(e)].m, first * unit, std::min(count * unit, n - first * unit)},
          worker);
        p += count;
      }
      return range.first < range.end;
    };
    // Its own run first: the beginning of it may be in this worker's caches (ReadOrder).
    while (multiply(runs[static_cast<std::size_t>(worker)].take_front(chunk))) {
    }
    for (int other = 1; other < workers; ++other)
      while (multiply(runs[static_cast<std::size_t>((worker + other) % workers)].take_back(chunk))) {
      }
  });
}

/// Calls f(task, worker) for blocks that cover the outputs of all groups. words: of a block of the reduced axis;
/// weights: of `unit` columns to a panel, empty when they are not packed.
template <class F>
void for_tasks(Exec& ex, std::span<const GroupShape> groups, index_t n, index_t words, const WeightStream& weights,
               index_t unit, const F& f) {
  if (weights.panel_bytes > 0 && streams_weights(groups)) return for_streams(ex, groups, n, weights, unit, f);
  const std::vector<Task> tasks = plan_tasks(groups, n, words, ex.pool.num_threads(), unit);
  ex.pool.parallel_for(std::ssize(tasks),
                       [&](index_t i, int worker) { f(tasks[static_cast<std::size_t>(i)], worker); });
}

#endif  // HADAL_KERNELS_CPU_GEMM_STREAMS_H_
