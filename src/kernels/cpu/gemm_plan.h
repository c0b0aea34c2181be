// How grouped products are cut into tasks: blocks of the outputs, one pass over the whole reduced axis each. The cut
// may depend on the number of threads, because it changes no bit of the result (see gemm_tile.h).
#ifndef HADAL_KERNELS_CPU_GEMM_PLAN_H_
#define HADAL_KERNELS_CPU_GEMM_PLAN_H_

/// A block of the output of one group.
struct Task {
  index_t group = 0, row = 0, rows = 0, column = 0, columns = 0;
};

/// out[m, n] of each group = sum over k.
struct GroupShape {
  index_t m = 0, k = 0;
};

constexpr index_t divide_up(index_t a, index_t b) {
  return (a + b - 1) / b;
}

/// Blocks of at most `most` that cover n, as equal as multiples of `unit` allow.
struct EvenSplit {
  index_t n, unit, parts;
  EvenSplit(index_t total, index_t most, index_t multiple)
      : n(total), unit(multiple), parts(std::max<index_t>(1, divide_up(total, std::max(most, multiple)))) {}
  index_t first(index_t part) const { return std::min(n, divide_up(n, unit) * part / parts * unit); }
  index_t size(index_t part) const { return first(part + 1) - first(part); }
};

/// The most rows and columns of a task. Packing of the right operand is repeated for each block of rows, which costs
/// about as much as multiplying ten of them; reading of the left one is repeated for each block of columns, and costs
/// little. So tasks are first made narrow, then low, and no more than the threads need.
struct BlockSize {
  index_t rows = 2048, columns = 256;
};

/// unit: blocks of columns are multiples of it.
inline index_t count_tasks(std::span<const GroupShape> groups, index_t n, BlockSize block, index_t unit) {
  index_t tasks = 0;
  for (const GroupShape& g : groups)
    if (g.m > 0) tasks += EvenSplit(g.m, block.rows, kStrip).parts;
  return tasks * EvenSplit(n, block.columns, unit).parts;
}

/// `words`: of a block of the reduced axis. A packed block of the right operand fills at most half of a 1 MiB L2 cache.
inline BlockSize choose_block(std::span<const GroupShape> groups, index_t n, index_t words, int threads, index_t unit) {
  constexpr index_t kCacheWords = 128 * 1024, kLeastRows = 48, kLeastColumns = 64;
  BlockSize block;
  const index_t fitting = std::max(kCacheWords / std::max<index_t>(words, 1) / unit * unit, kLeastColumns);
  block.columns = std::min({block.columns, fitting, divide_up(n, unit) * unit});
  if (threads == 1) return block;
  index_t most_rows = 0;
  for (const GroupShape& g : groups) most_rows = std::max(most_rows, g.m);
  block.rows = std::min(block.rows, divide_up(most_rows, kStrip) * kStrip);
  while (true) {
    const index_t tasks = count_tasks(groups, n, block, unit);
    if (tasks < 4 * threads && block.columns > kLeastColumns) {
      block.columns = divide_up(block.columns / 2, unit) * unit;
    } else if (tasks < 2 * threads && block.rows >= 2 * kLeastRows) {
      block.rows = divide_up(block.rows / 2, kStrip) * kStrip;
    } else {
      return block;
    }
  }
}

/// The tasks, largest first so that none is left for the end.
inline std::vector<Task> plan_tasks(std::span<const GroupShape> groups, index_t n, index_t words, int threads,
                                    index_t unit = kPanel) {
  const BlockSize block = choose_block(groups, n, words, threads, unit);
  const EvenSplit columns(n, block.columns, unit);
  std::vector<Task> tasks;
  tasks.reserve(static_cast<std::size_t>(count_tasks(groups, n, block, unit)));
  for (index_t e = 0; e < static_cast<index_t>(groups.size()); ++e) {
    const index_t m = groups[static_cast<std::size_t>(e)].m;
    if (m == 0) continue;
    const EvenSplit rows(m, block.rows, kStrip);
    for (index_t c = 0; c < columns.parts; ++c)
      for (index_t r = 0; r < rows.parts; ++r)
        tasks.push_back({e, rows.first(r), rows.size(r), columns.first(c), columns.size(c)});
  }
  if (groups.size() > 1) {
    const auto work = [&](const Task& t) { return t.rows * t.columns * groups[static_cast<std::size_t>(t.group)].k; };
    std::stable_sort(tasks.begin(), tasks.end(), [&](const Task& s, const Task& t) { return work(s) > work(t); });
  }
  return tasks;
}

#endif  // HADAL_KERNELS_CPU_GEMM_PLAN_H_
