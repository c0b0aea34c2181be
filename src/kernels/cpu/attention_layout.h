// Which queries and keys meet: the lanes of the attention kernels. Include inside the region that isa_begin.h opens,
// after attention_pack.h.
#ifndef HADAL_KERNELS_CPU_ATTENTION_LAYOUT_H_
#define HADAL_KERNELS_CPU_ATTENTION_LAYOUT_H_

// Keys that are packed at a time: their scores of one block of queries stay in the first cache. A multiple of the tile.
inline constexpr index_t kKeyBlock = 16 * kTileKeys;

/// The queries of one segment and one key head: query x is head x % group of row x / group. Blocks of kQueryLanes,
/// aligned at the end: the first block has `pad` lanes in front that hold no query.
struct QueryLanes {
  index_t group = 1, count = 0, pad = 0, offset = 0;  // offset: row i sees keys [0, offset + i]

  QueryLanes(const AttentionSegment& s, index_t heads_per_key_head)
      : group(heads_per_key_head),
        count(s.q_len * group),
        pad((kQueryLanes - count % kQueryLanes) % kQueryLanes),
        offset(s.k_len - s.q_len) {}

  index_t num_blocks() const { return (count + pad) / kQueryLanes; }
  index_t first_query(index_t block) const { return block * kQueryLanes - pad; }
  index_t first_valid(index_t block) const { return block == 0 ? pad : 0; }
  index_t keys_seen(index_t query) const { return query < 0 ? 0 : offset + query / group + 1; }
  index_t keys_seen_by_block(index_t block) const { return keys_seen(first_query(block) + kQueryLanes - 1); }
  /// The first lane of the block that sees key j; negative: all do.
  index_t threshold(index_t block, index_t j) const { return (j - offset) * group - first_query(block); }

  /// Words along `num` keys from `first_key` on that each vector of the block's queries takes part in.
  template <class W>
  RaggedEnds ragged_ends(index_t block, index_t first_key, index_t num) const {
    RaggedEnds ends;
    for (int v = 0; v < kQueryVecs; ++v) {
      const index_t seen = keys_seen(first_query(block) + (v + 1) * kLanes - 1) - first_key;
      ends.end[v] = words_of<W>(std::clamp<index_t>(seen, 0, num));
    }
    return ends;
  }
};

/// Rows [T, H, dim] of the lanes of a block; nullptr where there is no query.
template <class T, class Byte>
inline void lane_rows(T** rows, const BasicHeads<Byte>& from, const AttentionSegment& s, index_t key_head,
                      const QueryLanes& lanes, index_t block) {
  index_t query = lanes.first_query(block), row = 0, head = 0;
  if (query > 0) row = query / lanes.group, head = query % lanes.group;
  for (int lane = 0; lane < kQueryLanes; ++lane, ++query) {
    rows[lane] = nullptr;
    if (query < 0) continue;
    rows[lane] = from.template at<std::remove_const_t<T>>(s.q_begin + row, key_head * lanes.group + head);
    if (++head == lanes.group) head = 0, ++row;
  }
}

/// The statistics [H, T] as rows of one value per head.
template <class Byte>
inline BasicHeads<Byte> heads_of_statistics(const BasicView<Byte>& view_HT) {
  return {view_HT.data, view_HT.dtype, view_HT.cols, view_HT.rows, 1, 1, view_HT.stride};
}

/// Asks for `num` rows ahead of their use. What a task reads was written by other kernels a while ago, at strides that
/// the hardware does not foresee. kWrite: 1 for rows that will be written.
template <int kWrite = 0>
inline void prefetch_rows(const void* first, index_t num, index_t stride_bytes, index_t row_bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(first);
  for (index_t r = 0; r < num; ++r) {
    const std::uintptr_t row = begin + static_cast<std::uintptr_t>(r * stride_bytes);
    for (index_t i = 0; i < row_bytes + 63; i += 64)
      __builtin_prefetch(reinterpret_cast<const void*>(row + static_cast<std::uintptr_t>(std::min(i, row_bytes - 1))),
                         kWrite, 2);
  }
}
template <class T>
inline void prefetch_rows(const RowSource<T>& rows, index_t num) {
  constexpr index_t kBytes = sizeof(T);
  if (rows.first_dim > 0) prefetch_rows(rows.first, num, rows.first_stride * kBytes, rows.first_dim * kBytes);
  if (rows.second_dim > 0) prefetch_rows(rows.second, num, rows.second_stride * kBytes, rows.second_dim * kBytes);
}
/// Rows that are asked for a few lines at a time. A processor drops prefetches beyond those it can have under way (24
/// lines on Zen 4), so of a whole block asked for at once most would not come.
class PacedRows {
 public:
  void add(const void* first, index_t num, index_t stride_bytes, index_t row_bytes) {
    if (stride_bytes == row_bytes) row_bytes *= num, num = 1;
    if (num > 0 && row_bytes > 0)
      parts_[count_++] = {static_cast<const std::byte*>(first), num, stride_bytes, row_bytes};
  }
  template <class T>
  void add(const RowSource<T>& rows, index_t num) {
    constexpr index_t kBytes = sizeof(T);
    add(rows.first, num, rows.first_stride * kBytes, rows.first_dim * kBytes);
    add(rows.second, num, rows.second_stride * kBytes, rows.second_dim * kBytes);
  }
  void ask(int lines) {
    for (; lines > 0 && at_ < count_; --lines) {
      Part& part = parts_[at_];
      __builtin_prefetch(part.row + offset_, 0, 2);
      offset_ += 64;
      if (offset_ < part.bytes) continue;
      offset_ = 0, part.row += part.stride;
      if (--part.rows == 0) ++at_;
    }
  }
  void ask_all() { ask(1 << 30); }

 private:
  struct Part {
    const std::byte* row = nullptr;
    index_t rows = 0, stride = 0, bytes = 0;
  };
  std::array<Part, 4> parts_;
  std::size_t count_ = 0, at_ = 0;
  index_t offset_ = 0;
};

/// The rows of one block of queries; none beyond the last block.
template <int kWrite = 0, class Byte>
inline void prefetch_block(const BasicHeads<Byte>& heads, const AttentionSegment& s, index_t key_head,
                           const QueryLanes& lanes, index_t block) {
  if (block < 0 || block >= lanes.num_blocks()) return;
  const index_t first = std::max<index_t>(lanes.first_query(block), 0) / lanes.group;
  const index_t last = (lanes.first_query(block) + kQueryLanes - 1) / lanes.group, element = bytes_of(heads.dtype, 1);
  for (index_t h = 0; h < lanes.group; ++h) {
    const auto* row =
        heads.data +
        ((s.q_begin + first) * heads.row_stride + (key_head * lanes.group + h) * heads.head_stride) * element;
    prefetch_rows<kWrite>(row, last - first + 1, heads.row_stride * element, heads.dim * element);
  }
}

static_assert(kAttentionPage % kKeyBlock == 0);

/// The keys of a segment from key `first` on; with pages, up to the end of the block of keys that begins there.
template <class T>
inline RowSource<T> key_source(const AttentionInputs& in, const AttentionSegment& s, index_t key_head,
                               index_t first = 0) {
  const index_t row = s.key_row(first);
  RowSource<T> from;
  from.first_dim = in.q.dim - (in.k_shared.empty() ? 0 : in.k_shared.dim);
  if (from.first_dim > 0) from.first = in.k.at<T>(row, key_head), from.first_stride = in.k.row_stride;
  if (in.k_shared.empty()) return from;
  from.second = in.k_shared.at<T>(row, 0);
  from.second_stride = in.k_shared.row_stride;
  from.second_dim = in.k_shared.dim;
  return from;
}
template <class T>
inline RowSource<T> value_source(const AttentionInputs& in, const AttentionSegment& s, index_t key_head,
                                 index_t first = 0) {
  return {.first = in.v.at<T>(s.key_row(first), key_head), .first_stride = in.v.row_stride, .first_dim = in.v.dim};
}

/// Codes as f32.
HADAL_INLINE Vec load_code(const std::byte* p, DType dtype) {
  if (dtype == DType::kE4M3) return load(reinterpret_cast<const e4m3*>(p));
  typedef std::int8_t VecC __attribute__((vector_size(kLanes)));
  VecC codes;
  __builtin_memcpy(&codes, p, sizeof codes);
  return __builtin_convertvector(__builtin_convertvector(codes, VecI), Vec);
}

/// to = the columns of one head of a row of a cache in 8 bits (coded_rows.h).
template <class T>
inline void widen_head(T* to, const ConstHeads& from, index_t row, index_t head) {
  const std::byte* codes = from.data + row * from.row_stride;
  const std::byte* scales = codes + coded_scales_at(from.heads * from.dim);
  const index_t end = (head + 1) * from.dim;
  for (index_t begin = head * from.dim; begin < end;) {
    const index_t next = std::min(end, (begin / kCodedGroup + 1) * kCodedGroup);
    float scale;
    __builtin_memcpy(&scale, scales + begin / kCodedGroup * 4, 4);
    for (; begin + kLanes <= next; begin += kLanes, to += kLanes)
      store(to, load_code(codes + begin, from.dtype) * scale);
    if (begin == next) continue;
    std::byte last[kLanes] = {};
    __builtin_memcpy(last, codes + begin, static_cast<std::size_t>(next - begin));
    store_first(to, load_code(last, from.dtype) * scale, next - begin);
    to += next - begin, begin = next;
  }
}

/// The keys and values of one segment and key head, block by block of kKeyBlock: as they lie, or where the cache holds
/// them in 8 bits, widened into `wide`.
template <class T>
struct KeyBlocks {
  const AttentionInputs& in;
  const AttentionSegment& segment;
  index_t key_head;
  T *wide_k = nullptr, *wide_v = nullptr;  // [kKeyBlock][dim]

  bool coded_k() const { return is_coded(in.k.dtype); }
  bool coded_v() const { return is_coded(in.v.dtype); }
  bool same() const { return in.k.data == in.v.data && in.k.dim == in.v.dim; }  // the latent is key and value
  /// Words of `wide_k` and `wide_v`.
  index_t k_words() const { return coded_k() ? kKeyBlock * in.k.dim * index_t{sizeof(T)} / 4 : 0; }
  index_t v_words() const { return coded_v() && !same() ? kKeyBlock * in.v.dim * index_t{sizeof(T)} / 4 : 0; }

  /// Call before keys(first) and values(first).
  void widen(index_t first, index_t num) const {
    const index_t row = segment.key_row(first);
    for (index_t r = 0; r < num; ++r) {
      if (coded_k()) widen_head(wide_k + r * in.k.dim, in.k, row + r, key_head);
      if (coded_v() && !same()) widen_head(wide_v + r * in.v.dim, in.v, row + r, key_head);
    }
  }
  RowSource<T> keys(index_t first) const {
    if (!coded_k()) return key_source<T>(in, segment, key_head, first);
    RowSource<T> from{.first = wide_k, .first_stride = in.k.dim, .first_dim = in.k.dim};
    if (in.k_shared.empty()) return from;
    from.second = in.k_shared.at<T>(segment.key_row(first), 0);
    from.second_stride = in.k_shared.row_stride, from.second_dim = in.k_shared.dim;
    return from;
  }
  RowSource<T> values(index_t first) const {
    if (!coded_v()) return value_source<T>(in, segment, key_head, first);
    return {.first = coded_k() && same() ? wide_k : wide_v, .first_stride = in.v.dim, .first_dim = in.v.dim};
  }
  /// The rows of a block.
  PacedRows rows(index_t first, index_t num) const {
    PacedRows rows;
    const auto codes = [&](const ConstHeads& h) {
      rows.add(h.data + segment.key_row(first) * h.row_stride + key_head * h.dim, num, h.row_stride, h.dim);
    };
    if (!coded_k())
      rows.add(keys(first), num);
    else
      codes(in.k);
    if (same()) return rows;
    if (!coded_v())
      rows.add(values(first), num);
    else
      codes(in.v);
    return rows;
  }
};

/// Hands out pieces of a scratch buffer, each on its own cache lines. With no buffer it only counts.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}
  float* take(index_t num_words) {
    float* piece = base_ == nullptr ? nullptr : reinterpret_cast<float*>(base_ + used_);
    used_ += (num_words * 4 + 63) / 64 * 64;
    return piece;
  }
  index_t used() const { return used_; }

 private:
  std::byte* base_;
  index_t used_ = 0;
};

inline constexpr float kLog2E = 1.44269504088896341F;
inline index_t round_up(index_t n, index_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

#endif  // HADAL_KERNELS_CPU_ATTENTION_LAYOUT_H_
