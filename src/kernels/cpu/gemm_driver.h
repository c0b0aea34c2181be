// Grouped products out[m, n] (write) a[m, k] b[k, n].
//
// First the left operand is brought into a form that tiles can read, where it is not in one already; then each task
// packs the part of the right operand that it needs, unless that was packed before, and multiplies.
#ifndef HADAL_KERNELS_CPU_GEMM_DRIVER_H_
#define HADAL_KERNELS_CPU_GEMM_DRIVER_H_

#include "kernels/cpu/gemm_direct.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_streams.h"

/// x w^T, dy w and dy^T x: the reduced axis runs along the rows of both operands, of the left one, or of none.
enum class Form : std::uint8_t { kNt, kNn, kTn };

/// Words of the reduced axis that are packed at a time.
inline constexpr index_t kBlockWords = 1024;

/// The blocks of a reduced axis, a function of its length alone.
template <class T>
EvenSplit split_reduced(index_t values) {
  const index_t blocks = std::max<index_t>(1, divide_up(words_of<T>(values), kBlockWords));
  return EvenSplit(values, divide_up(divide_up(values, blocks), kFp8Tile) * kFp8Tile, kFp8Tile);
}

/// Where a group finds the scales of FP8: one for each row (or column) and each kFp8Tile values of the reduced axis.
struct GroupScales {
  const float* left = nullptr;
  index_t left_row = 0, left_tile = 0;
  const float* right = nullptr;
  index_t right_tile = 0, right_step = 0, right_width = 1;  // `right_width` columns share a scale
};

template <class T>
struct Group {
  const T* a = nullptr;
  const T* b = nullptr;
  const std::byte* packed = nullptr;  // instead of b: all its panels (pack_group)
  index_t row = 0;                    // of the output
  index_t m = 0, k = 0;               // rows and reduced values
  GroupScales scales;
  // The left operand as tiles read it: rows of words, or strips over the whole reduced axis.
  const std::byte* left = nullptr;
  index_t left_stride = 0;  // bytes between rows, or between strips
};

template <class T, Form kForm>
class Driver {
 public:
  Driver(Exec& ex, View out, index_t a_stride, index_t b_stride, Write write)
      : ex_(ex), out_(out), a_stride_(a_stride), b_stride_(b_stride), write_(write) {}

  /// matrices: where the groups are packed.
  void run(std::span<Group<T>> groups, std::span<const std::byte* const> matrices = {}) {
    if (out_.cols == 0) return;
    std::vector<GroupShape> shapes;
    index_t words = 0;
    for (const Group<T>& g : groups) {
      shapes.push_back({g.m, g.k});
      words = std::max(words, std::min(words_of<T>(g.k), kBlockWords));
    }
    prepare_left(groups);
    const bool packed = !groups.empty() && is_packed(groups.front());
    const WeightStream weights =
        packed ? WeightStream{matrices, divide_up(out_.cols, kPanel), words_of<T>(groups.front().k) * kPanel * 4}
               : WeightStream{};
    for_tasks(ex_, shapes, out_.cols, words, weights, kPanel, [&](const Task& task, int worker) {
      run_task(groups[static_cast<std::size_t>(task.group)], task, worker);
    });
  }

 private:
  static constexpr bool kScaled = std::is_same_v<T, e4m3>;
  static constexpr bool kStrips = kForm == Form::kTn;
  static constexpr index_t kDirectParts = 3;  // beyond so many direct tiles of rows, packing costs less
  static constexpr index_t kSlab = 12;        // rows that are multiplied by all columns of a task before the next ones

  void prepare_left(std::span<Group<T>> groups) {
    struct Part {
      const Group<T>& group;
      std::byte* to;
      index_t row, rows, k, values;
    };
    std::vector<Part> parts;
    index_t bytes = 0;
    for (Group<T>& g : groups) {
      if (!kStrips && kAsStored<T> && g.k % kValues<T> == 0) {
        g.left = reinterpret_cast<const std::byte*>(g.a);
        g.left_stride = a_stride_ * static_cast<index_t>(sizeof(T));
      } else {
        // An odd number of cache lines apart, so that rows or strips do not compete for the same sets.
        g.left_stride = (divide_up(words_of<T>(g.k) * (kStrips ? kStrip : 1), 16) | 1) * 64;
        bytes += divide_up(g.m, kStrip) * (kStrips ? 1 : kStrip) * g.left_stride;
      }
    }
    if (bytes == 0) return;
    std::byte* to = ex_.scratch(-1, bytes);
    for (Group<T>& g : groups) {
      if (g.left != nullptr) continue;
      g.left = to;
      const index_t part_rows = kStrips ? 40 * kStrip : 32, part_values = kStrips ? 256 : std::max<index_t>(g.k, 1);
      for (index_t row = 0; row < g.m; row += part_rows)
        for (index_t k = 0; k < g.k; k += part_values)
          parts.push_back({g, to, row, std::min(part_rows, g.m - row), k, std::min(part_values, g.k - k)});
      to += divide_up(g.m, kStrip) * (kStrips ? 1 : kStrip) * g.left_stride;
    }
    ex_.pool.parallel_for(static_cast<index_t>(parts.size()), [&](index_t i, int) {
      const Part& p = parts[static_cast<std::size_t>(i)];
      const index_t stride = p.group.left_stride;
      if constexpr (kStrips) {
        std::byte* strips = p.to + p.row / kStrip * stride + p.k / kValues<T> * kStrip * 4;
        pack_strips(strips, stride, p.rows, p.group.a + p.k * a_stride_ + p.row, a_stride_, p.values);
      } else {
        for (index_t r = p.row; r < p.row + p.rows; ++r)
          widen_row(p.to + r * stride, p.group.a + r * a_stride_, p.values, stride / 4);
      }
    });
  }

  struct Work {
    const Group<T>& group;
    const Task& task;
    std::byte* b = nullptr;
    float* scales = nullptr;    // of the columns, `padded` for each tile of the block
    float* sums = nullptr;      // of earlier blocks; none when the output itself holds them
    index_t padded = 0;         // columns, and the stride of scales and sums
    index_t k = 0, values = 0;  // the block of the reduced axis
    bool first = false, last = false;
  };

  void run_task(const Group<T>& group, const Task& task, int worker) const {
    const EvenSplit split = split_reduced<T>(group.k);
    index_t most_words = 0;
    for (index_t i = 0; i < split.parts; ++i) most_words = std::max(most_words, words_of<T>(split.size(i)));
    Work w{group, task};
    w.padded = divide_up(task.columns, kLanes) * kLanes;
    const index_t scale_bytes = kScaled ? divide_up(most_words * kValues<T>, kFp8Tile) * w.padded * 4 : 0;
    const bool sums = out_.dtype == DType::kBF16 && (split.parts > 1 || (kScaled && group.k > kFp8Tile));
    const index_t b_bytes = is_packed(group) ? 0 : most_words * w.padded * 4;
    w.b = ex_.scratch(worker, b_bytes + scale_bytes + (sums ? task.rows * w.padded * 4 : 0));
    w.scales = reinterpret_cast<float*>(w.b + b_bytes);
    w.sums = sums ? reinterpret_cast<float*>(w.b + b_bytes + scale_bytes) : nullptr;
    for (index_t i = 0; i < split.parts; ++i) {
      w.k = split.first(i), w.values = split.size(i);
      w.first = i == 0, w.last = i + 1 == split.parts;
#if defined(HADAL_ISA_IS_avx512)
      if (is_direct(w)) {
        multiply_directly(w);
        continue;
      }
#endif
      if (!is_packed(group)) pack_right(w);
      for (index_t r = 0; r < task.rows; r += kSlab) multiply_slab(w, r, std::min(kSlab, task.rows - r));
    }
  }

#if defined(HADAL_ISA_IS_avx512)
  static bool is_direct(const Work& w) {
    return kForm == Form::kNt && std::is_same_v<T, bf16> && w.group.packed == nullptr &&
           w.task.rows <= kDirectParts * kDirectRows && w.task.columns % kLanes == 0 &&
           w.values % (2 * kDirectWords) == 0 && w.values > 0;
  }

  void multiply_directly(const Work& w) const {
    const index_t stride = b_stride_ * static_cast<index_t>(sizeof(T));
    const auto* b = reinterpret_cast<const std::byte*>(w.group.b + w.task.column * b_stride_ + w.k);
    const EvenSplit rows(w.task.rows, kDirectRows, 1);
    Tile t;
    t.a_stride = w.group.left_stride;
    t.words = words_of<T>(w.values);
    t.columns = kLanes;
    for (index_t c = 0; c < w.task.columns; c += kLanes) {
      t.b = b + c * stride;
      for (index_t part = 0; part < rows.parts; ++part) {
        t.a = w.group.left + (w.task.row + rows.first(part)) * w.group.left_stride + w.k / kValues<T> * 4;
        place(w, t, rows.first(part), c, w.first, w.last);
        direct_function(rows.size(part))(t, stride, c + kLanes < w.task.columns ? t.b + kLanes * stride : t.b);
      }
    }
  }
#endif

  /// Whether tiles can read the right operand as it is.
  static bool is_packed(const Group<T>& group) { return kAsStored<T> && group.packed != nullptr; }

  /// Of the block at column c of the task: a panel of `vecs` vectors. Tasks begin where panels do.
  static const std::byte* packed_panel(const Work& w, index_t c, int vecs) {
    return w.group.packed + packed_offset<T>(w.task.column + c, w.group.k, w.k, vecs);
  }

  void pack_right(const Work& w) const {
    const index_t words = words_of<T>(w.values);
    for (index_t c = 0; c < w.task.columns; c += kPanel) {
      const index_t columns = std::min<index_t>(kPanel, w.task.columns - c), n = w.task.column + c;
      std::byte* panel = w.b + c * words * 4;
      if (w.group.packed != nullptr) {
        const int vecs = static_cast<int>(divide_up(columns, kLanes));
        const index_t count = w.values * vecs * kLanes;
        widen_row(panel, reinterpret_cast<const T*>(packed_panel(w, c, vecs)), count, count);
      } else if constexpr (kForm == Form::kNt) {
        pack_transposed(panel, columns, w.group.b + n * b_stride_ + w.k, b_stride_, w.values);
      } else {
        pack_rows(panel, columns, w.group.b + w.k * b_stride_ + n, b_stride_, w.values);
      }
    }
    if constexpr (kScaled) {
      const GroupScales& s = w.group.scales;
      for (index_t tile = 0; tile < divide_up(w.values, kFp8Tile); ++tile) {
        const float* scales = s.right + (w.k / kFp8Tile + tile) * s.right_tile;
        for (index_t c = 0; c < w.padded; ++c)
          w.scales[tile * w.padded + c] =
              c < w.task.columns ? scales[(w.task.column + c) / s.right_width * s.right_step] : 0.0F;
      }
    }
  }

  /// Rows [r, r + rows) of the task times all its columns.
  void multiply_slab(const Work& w, index_t r, index_t rows) const {
    const index_t words = words_of<T>(w.values), first = w.task.row + r, stride = w.group.left_stride;
    const std::byte* left = kStrips ? w.group.left + first / kStrip * stride + w.k / kValues<T> * kStrip * 4
                                    : w.group.left + first * stride + w.k / kValues<T> * 4;
    Tile t;
    t.a_stride = stride;
    for (index_t c = 0; c < w.task.columns; c += kPanel) {
      t.columns = std::min<index_t>(kPanel, w.task.columns - c);
      const int vecs = static_cast<int>(divide_up(t.columns, kLanes));
      const std::byte* panel = is_packed(w.group) ? packed_panel(w, c, vecs) : w.b + c * words * 4;
      for (index_t i = 0, step; i < rows; i += step) {
        step = tile_step(rows - i, tile_rows(vecs));
        t.a = left + (kStrips ? i / kStrip : i) * stride;
        t.next_a = c == 0 ? t.a + (kStrips ? kSlab / kStrip : kSlab) * stride : t.a;
        const TileFunction multiply = tile_function<Word<T>, kStrips, kScaled>(step, vecs);
        if constexpr (!kScaled) {
          t.b = panel, t.words = words;
          place(w, t, r + i, c, w.first, w.last);
          multiply(t);
        } else {
          multiply_scaled(w, t, r + i, c, panel, vecs, multiply);
        }
      }
    }
  }

  /// A tile of FP8: the sums of each kFp8Tile values are scaled and added up in f32.
  void multiply_scaled(const Work& w, Tile& t, index_t r, index_t c, const std::byte* panel, int vecs,
                       TileFunction multiply) const {
    const GroupScales& s = w.group.scales;
    const std::byte* left = t.a;
    const index_t tiles = std::max<index_t>(1, divide_up(w.values, kFp8Tile));
    for (index_t tile = 0; tile < tiles; ++tile) {
      const index_t word = tile * kFp8Tile / kValues<T>;
      t.words = std::min(words_of<T>(w.values) - word, kFp8Tile / kValues<T>);
      t.a = left + word * (kStrips ? kStrip : 1) * 4;
      t.next_a = t.a;
      t.b = panel + word * vecs * kLanes * 4;
      if (t.words > 0) t.row_scale = s.left + (w.task.row + r) * s.left_row + (w.k / kFp8Tile + tile) * s.left_tile;
      t.row_scale_stride = s.left_row;
      t.column_scale = w.scales + tile * w.padded + c;
      place(w, t, r, c, w.first && tile == 0, w.last && tile + 1 == tiles);
      multiply(t);
    }
  }

  /// Rows of the next tile when `left` are left: full tiles, then nearly equal ones where rows can be cut anywhere.
  static index_t tile_step(index_t left, index_t full) {
    if (left >= full && (kStrips || left >= 2 * full || left == full)) return full;
    if (kStrips || left <= kStrip) return std::min<index_t>(left, kStrip);
    return std::min<index_t>(kStrip, (left + 1) / 2);
  }

  /// Where the sums of the tile at row r, column c of the task go; first, last: of the sums of an output.
  void place(const Work& w, Tile& t, index_t r, index_t c, bool first, bool last) const {
    const bool bf16_out = out_.dtype == DType::kBF16, to_sums = w.sums != nullptr && !last;
    float* sums = w.sums == nullptr ? nullptr : w.sums + r * w.padded + c;
    t.bf16_out = bf16_out && !to_sums;
    t.bf16_add = t.bf16_out && write_ == Write::kAdd;
    t.out = sums, t.out_stride = w.padded;
    if (!to_sums) {
      const index_t offset = (w.group.row + w.task.row + r) * out_.stride + w.task.column + c;
      t.out = out_.data + offset * (bf16_out ? 2 : 4), t.out_stride = out_.stride;
    }
    t.before = nullptr;
    if (bf16_out) {
      if (!first) t.before = sums, t.before_stride = w.padded;
    } else if (!first || write_ == Write::kAdd) {
      t.before = static_cast<const float*>(t.out), t.before_stride = out_.stride;
    }
  }

  Exec& ex_;
  View out_;
  index_t a_stride_, b_stride_;
  Write write_;
};

/// All groups: in nt and nn, group e has rows [offsets[e], offsets[e + 1]) of the left operand; tn reduces over them.
template <class T, Form kForm>
std::vector<Group<T>> make_groups(View out, Mat<const T> a, Mat<const T> b, std::span<const index_t> offsets,
                                  Write write) {
  std::vector<Group<T>> groups(offsets.size() - 1);
  for (std::size_t e = 0; e < groups.size(); ++e) {
    Group<T>& g = groups[e];
    const index_t first = offsets[e], count = offsets[e + 1] - first, i = static_cast<index_t>(e);
    g.a = a.data + first * a.stride;
    if (kForm == Form::kTn) {
      g.b = b.data + first * b.stride;
      g.row = i * a.cols, g.m = a.cols, g.k = count;
    } else {
      g.b = b.data + i * (kForm == Form::kNt ? out.cols : a.cols) * b.stride;
      g.row = first, g.m = count, g.k = a.cols;
    }
    if (g.k == 0 && write == Write::kAdd) g.m = 0;  // nothing to add
  }
  return groups;
}

#endif  // HADAL_KERNELS_CPU_GEMM_DRIVER_H_
