// Decode attention of one sequence on all threads: the keys of a few queries in blocks side by side. The sums and
// products of each block are kept and then added up in the order of the blocks, so the bits are those of
// attention_narrow.h. Include inside the region that isa_begin.h opens, after attention_narrow.h.
#ifndef HADAL_KERNELS_CPU_ATTENTION_SPLIT_H_
#define HADAL_KERNELS_CPU_ATTENTION_SPLIT_H_

template <class W>
class SplitAttention {
 public:
  explicit SplitAttention(const NarrowQueries<W>& queries)
      : queries_(queries),
        product_size_(queries.num * queries.out_stride()),
        size_(product_size_ + queries.num * kTiles) {}

  /// False, with nothing written, when a sum left the range in which no shift is needed (attention_softmax.h).
  bool run(Exec& ex, Heads out, View lse_HT) {
    const index_t end = queries_.num_keys(), num_blocks = (end + kKeyBlock - 1) / kKeyBlock;
    const index_t round = std::min(num_blocks, kRoundBlocks);
    Carver carver(ex.scratch(-1, (round * size_ + product_size_) * 4 + 64));
    kept_ = carver.take(round * size_), products_ = carver.take(product_size_);
    float sum[kNarrowLanes] = {};
    for (index_t block = 0; block < num_blocks; block += round) {
      const index_t count = std::min(round, num_blocks - block);
      const index_t threads = ex.pool.num_threads();
      const index_t parts = std::min(count, std::clamp(count / kLeastBlocks, threads, kPartsPerThread * threads));
      ex.pool.parallel_for(parts, [&](index_t part, int worker) {
        keep_blocks(ex, worker, block + count * part / parts, block + count * (part + 1) / parts, block);
      });
      for (index_t i = 0; i < queries_.num; ++i)
        if (!add_sums(sum[i], i, count)) return false;
      ex.pool.parallel_for(queries_.num, [&](index_t i, int) { add_products(i, count, block > 0); });
    }
    for (index_t i = 0; i < queries_.num; ++i)
      queries_.finish(out, lse_HT, i, products_ + i * queries_.out_stride(), sum[i], 0.0F);
    return true;
  }

 private:
  static constexpr index_t kTiles = kKeyBlock / kTileKeys;
  static constexpr index_t kPartsPerThread = 2, kLeastBlocks = 4;  // the first block of a part was not asked for
  static constexpr index_t kRoundBlocks = 256;                     // so many results are kept at a time

  float* kept(index_t block) const { return kept_ + block * size_; }

  /// For each of the blocks [first, last) of the round that starts at block `round`: its products, then the sums of its
  /// tiles.
  void keep_blocks(Exec& ex, int worker, index_t first, index_t last, index_t round) const {
    NarrowTask t = queries_.begin(ex, worker);
    for (index_t block = first; block < last; ++block) {
      const index_t first_key = block * kKeyBlock, keys = queries_.pack_keys(t, first_key);
      t.next = block + 1 < last ? queries_.rows(first_key + kKeyBlock) : PacedRows();
      index_t i = 0;
      for (; i + kNarrowRows <= queries_.num; i += kNarrowRows) narrow_weights<W, kNarrowRows>(t, i, first_key, keys);
      for (; i < queries_.num; ++i) narrow_weights<W, 1>(t, i, first_key, keys);
      t.out = kept(block - round);
      for (i = 0; i < queries_.num; ++i)
        for (index_t tile = 0; tile < kTiles; ++tile)
          t.out[product_size_ + i * kTiles + tile] =
              tile * kTileKeys < keys ? sum_of_tile(t.p + i * kKeyBlock + tile * kTileKeys) : 0.0F;
      queries_.add_products(t, keys, /*add=*/false);
    }
  }

  bool add_sums(float& sum, index_t query, index_t num_blocks) const {
    for (index_t block = 0; block < num_blocks; ++block) {
      const float* tiles = kept(block) + product_size_ + query * kTiles;
      for (index_t tile = 0; tile < kTiles; ++tile) sum += tiles[tile];
      if (!(sum > kMinSum && sum < kMaxSum)) return false;
    }
    return true;
  }

  void add_products(index_t query, index_t num_blocks, bool add) const {
    const index_t stride = queries_.out_stride();
    for (index_t u = 0; u < stride; u += kLanes) {
      float* to = products_ + query * stride + u;
      const auto product = [&](index_t block) { return load(kept(block) + query * stride + u); };
      Vec total = add ? load(to) + product(0) : product(0);
      for (index_t block = 1; block < num_blocks; ++block) total = total + product(block);
      store(to, total);
    }
  }

  const NarrowQueries<W>& queries_;
  index_t product_size_, size_;  // floats: products of a block; all that is kept of it
  float* kept_ = nullptr;
  float* products_ = nullptr;
};

#endif  // HADAL_KERNELS_CPU_ATTENTION_SPLIT_H_
