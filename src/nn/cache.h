#pragma once
// What generation keeps of the past, in pages of kAttentionPage tokens. A page belongs to no sequence: sequences list
// their pages, and may share them.
#include <vector>

#include "formats/model_config.h"
#include "kernels/attention.h"

namespace hadal {

/// The entries of one layer, a row for each token of each page. MLA: `k` holds the normalised latent [S, C], `v` the
/// rotated key [S, R]. GQA: keys and values [S, Hk * dim].
struct LayerCache {
  View k, v;
};

struct KvCache {
  std::vector<LayerCache> layers;  // blocks, then MTP modules
  std::vector<Tensor> storage;
  int num_pages = 0;

  KvCache() = default;
  /// The memory is touched when it is used. dtype: that of the activations.
  KvCache(const ModelConfig& config, DType dtype, int num_pages);
};

/// to[rows[t]] = from[t]; equal dtypes and widths.
void scatter_rows(View to, std::span<const index_t> rows, ConstView from);
/// to[j] = the row of key j of the segment, j < k_len.
void gather_keys(View to, ConstView from, const kernels::AttentionSegment& segment);

/// Values that one token takes in one layer.
index_t cache_width(const ModelConfig& config);

inline int pages_of(index_t tokens) {
  return static_cast<int>((tokens + kernels::kAttentionPage - 1) / kernels::kAttentionPage);
}

/// Rows of one forward pass that belong to one sequence: `length` tokens after `past` cached ones.
struct SequenceSlice {
  index_t past = 0, length = 0;
  std::span<const int> pages;  // at least pages_of(past + length)
  bool absorbed = false;       // MLA attends in the latent space (decoding)
};

/// One sequence with a cache of its own.
struct SequenceCache {
  KvCache cache;
  std::vector<int> pages;
  index_t length = 0, capacity = 0;

  SequenceCache(const ModelConfig& config, DType dtype, index_t max_tokens);
};

}  // namespace hadal
