// Grouped products out[m, n] (write) a[m, k] b[k, n] over packed blocks. Include after gemm_pack.h and gemm_plan.h.
#ifndef HADAL_KERNELS_CPU_GEMM_DRIVER_H_
#define HADAL_KERNELS_CPU_GEMM_DRIVER_H_

/// x w^T, dy w and dy^T x: the reduced axis runs along the rows of both operands, of the left one, or of none.
enum class Form : std::uint8_t { kNt, kNn, kTn };

/// Words of the reduced axis that are packed at a time: a block of 256 columns fills half of a 1 MiB L2 cache.
inline constexpr index_t kBlockWords = 512;

/// Where a group finds the scales of FP8: one for each row (or column) and each 128 values of the reduced axis.
struct GroupScales {
  const float* left = nullptr;  // none: nullptr
  index_t left_row = 0, left_tile = 0;
  const float* right = nullptr;
  index_t right_tile = 0, right_step = 0, right_width = 1;  // `right_width` columns share a scale
};

template <class T>
struct Group {
  const T* a = nullptr;
  const T* b = nullptr;
  index_t row = 0;  // of the output
  index_t k = 0;    // values
  GroupScales scales;
};

template <class T, Form kForm>
class Driver {
 public:
  Driver(View out, index_t a_stride, index_t b_stride, Write write)
      : out_(out), a_stride_(a_stride), b_stride_(b_stride), write_(write) {}

  void run(const Group<T>& group, const Task& task, Exec& ex, int worker) const {
    const index_t blocks = std::max<index_t>(1, divide_up(words_of<T>(group.k), kBlockWords));
    const EvenSplit split(group.k, divide_up(divide_up(group.k, blocks), kFp8Tile) * kFp8Tile, kFp8Tile);
    Work w{group, task};
    w.most_words = words_of<T>(split.size(0));
    for (index_t i = 1; i < split.parts; ++i) w.most_words = std::max(w.most_words, words_of<T>(split.size(i)));
    const index_t padded = divide_up(task.columns, kLanes) * kLanes;
    const bool sums = out_.dtype == DType::kBF16 && (split.parts > 1 || (kScaled && group.k > kFp8Tile));
    const index_t b_bytes = w.most_words * padded * 4;
    const index_t a_bytes = kSlab * (kForm == Form::kTn ? strip_pitch(w.most_words) / kStrip + 64 : w.most_words * 4);
    const index_t sum_bytes = sums ? task.rows * padded * 4 : 0;
    const index_t scale_bytes = kScaled ? divide_up(kBlockWords * kValues<T>, kFp8Tile) * padded * 4 : 0;
    w.b = ex.scratch(worker, b_bytes + a_bytes + sum_bytes + scale_bytes);
    w.a = w.b + b_bytes;
    w.sums = sums ? reinterpret_cast<float*>(w.a + a_bytes) : nullptr;
    w.sums_stride = padded;
    for (index_t i = 0; i < split.parts; ++i) {
      w.k = split.first(i), w.values = split.size(i);
      w.first = i == 0, w.last = i + 1 == split.parts;
      run_block(w);
    }
  }

 private:
  static constexpr bool kScaled = std::is_same_v<T, e4m3>;
  static constexpr bool kPacked = kForm == Form::kTn;
  static constexpr index_t kSlab = kPacked ? 60 : 12;  // rows of the left operand that are prepared at a time

  struct Work {
    const Group<T>& group;
    const Task& task;
    index_t most_words = 0;
    std::byte* b = nullptr;
    std::byte* a = nullptr;
    float* sums = nullptr;
    index_t sums_stride = 0;
    index_t k = 0, values = 0;  // the block of the reduced axis
    bool first = false, last = false;
  };

  void run_block(const Work& w) const {
    const index_t words = words_of<T>(w.values);
    for (index_t c = 0; c < w.task.columns; c += kPanel) {
      const index_t columns = std::min<index_t>(kPanel, w.task.columns - c), n = w.task.column + c;
      std::byte* panel = w.b + c * words * 4;
      if constexpr (kForm == Form::kNt)
        pack_transposed(panel, columns, w.group.b + n * b_stride_ + w.k, b_stride_, w.values);
      else
        pack_rows(panel, columns, w.group.b + w.k * b_stride_ + n, b_stride_, w.values);
    }
    for (index_t r = 0; r < w.task.rows; r += kSlab) run_slab(w, r, std::min(kSlab, w.task.rows - r));
  }

  /// Rows [r, r + rows) of the task, all columns.
  void run_slab(const Work& w, index_t r, index_t rows) const {
    const index_t words = words_of<T>(w.values);
    Tile t;
    t.words = words;
    if constexpr (kPacked) {
      pack_strips(w.a, rows, w.group.a + w.k * a_stride_ + w.task.row + r, a_stride_, w.values);
      t.a = w.a;
      t.a_stride = strip_pitch(words);
    } else {
      const T* from = w.group.a + (w.task.row + r) * a_stride_ + w.k;
      if (kAsStored<T> && w.values % kValues<T> == 0) {
        t.a = reinterpret_cast<const std::byte*>(from);
        t.a_stride = a_stride_ * static_cast<index_t>(sizeof(T));
      } else {
        for (index_t i = 0; i < rows; ++i) widen_row(w.a + i * words * 4, from + i * a_stride_, w.values, words);
        t.a = w.a;
        t.a_stride = words * 4;
      }
    }
    const std::byte* slab = t.a;
    for (index_t c = 0; c < w.task.columns; c += kPanel) {
      t.columns = std::min<index_t>(kPanel, w.task.columns - c);
      t.b = w.b + c * words * 4;
      const int vecs = static_cast<int>(divide_up(t.columns, kLanes));
      for (index_t i = 0, step; i < rows; i += step) {
        step = tile_step(rows - i, tile_rows(vecs));
        t.a = kPacked ? slab + i / kStrip * t.a_stride : slab + i * t.a_stride;
        place(w, t, r + i, c);
        tile_function<Word<T>, kPacked>(step, vecs)(t);
      }
    }
  }

  /// Rows of the next tile when `left` are left: full tiles, then nearly equal ones where rows can be cut anywhere.
  static index_t tile_step(index_t left, index_t full) {
    if (left >= full && (kPacked || left >= 2 * full || left == full)) return full;
    if (kPacked) return std::min<index_t>(left, kStrip);
    return left <= kStrip ? left : std::min<index_t>(kStrip, (left + 1) / 2);
  }

  /// Where the sums of the tile at row r, column c of the task go.
  void place(const Work& w, Tile& t, index_t r, index_t c) const {
    const bool to_sums = w.sums != nullptr && !w.last;
    float* sums = w.sums == nullptr ? nullptr : w.sums + r * w.sums_stride + c;
    const index_t offset = (w.group.row + w.task.row + r) * out_.stride + w.task.column + c;
    t.bf16_out = out_.dtype == DType::kBF16 && !to_sums;
    t.bf16_add = t.bf16_out && write_ == Write::kAdd;
    t.before = nullptr;
    if (to_sums) {
      t.out = sums, t.out_stride = w.sums_stride;
    } else {
      t.out = out_.data + offset * (out_.dtype == DType::kBF16 ? 2 : 4), t.out_stride = out_.stride;
    }
    if (out_.dtype == DType::kF32) {
      if (!w.first || write_ == Write::kAdd) t.before = static_cast<const float*>(t.out), t.before_stride = out_.stride;
    } else if (!w.first) {
      t.before = sums, t.before_stride = w.sums_stride;
    }
  }

  View out_;
  index_t a_stride_, b_stride_;
  Write write_;
};

/// All groups: nt and nn have rows [offsets[e], offsets[e + 1]) of the left operand each, tn reduces over them.
template <class T, Form kForm>
void multiply_groups(Exec& ex, View out, Mat<const T> a, Mat<const T> b, std::span<const index_t> offsets, Write write) {
  const auto num_groups = offsets.size() - 1;
  std::vector<Group<T>> groups(num_groups);
  std::vector<GroupShape> shapes(num_groups);
  for (std::size_t e = 0; e < num_groups; ++e) {
    const index_t first = offsets[e], count = offsets[e + 1] - first, i = static_cast<index_t>(e);
    if (kForm == Form::kTn) {
      groups[e] = {a.data + first * a.stride, b.data + first * b.stride, i * a.cols, count, {}};
      shapes[e] = {count == 0 && write == Write::kAdd ? 0 : a.cols, count};
    } else {
      const index_t matrix = kForm == Form::kNt ? out.cols : a.cols;
      groups[e] = {a.data + first * a.stride, b.data + i * matrix * b.stride, first, a.cols, {}};
      shapes[e] = {count, a.cols};
    }
  }
  if (out.cols == 0) return;
  const Driver<T, kForm> driver(out, a.stride, b.stride, write);
  const std::vector<Task> tasks = plan_tasks(shapes, out.cols, ex.pool.num_threads());
  ex.pool.parallel_for(static_cast<index_t>(tasks.size()), [&](index_t i, int worker) {
    const Task& task = tasks[static_cast<std::size_t>(i)];
    driver.run(groups[static_cast<std::size_t>(task.group)], task, ex, worker);
  });
}

#endif  // HADAL_KERNELS_CPU_GEMM_DRIVER_H_
