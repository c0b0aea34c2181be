#pragma once
// What generation keeps of the past, in pages of kAttentionPage tokens. A page belongs to no sequence: sequences list
// their pages, and may share them.
#include <vector>

#include "formats/model_config.h"
#include "kernels/attention.h"

namespace hadal {

/// What is kept of a token. dtype: that of the activations, or 8 bits (kernels/coded_rows.h), in which the rotated key
/// of MLA stays as activations are. per_head: with MLA the keys and values of every head instead of the latent: many
/// times the memory, but a token's result has the bits of the training pass whatever form the pass has.
struct CacheFormat {
  DType dtype = DType::kBF16;
  bool per_head = false;
};

/// "bf16": as the activations are (`compute`); "fp8", "int8"; "heads": per_head, as the activations are.
CacheFormat parse_cache_format(std::string_view name, DType compute);

/// The entries of one layer, a row for each token of each page. MLA: `k` holds the normalised latent [S, C], or keys
/// and values of each head [S, H * (N + U)], `v` the rotated key [S, R]. GQA: keys and values [S, Hk * dim].
struct LayerCache {
  View k, v;
  bool per_head = false;  // with MLA
};

struct KvCache {
  std::vector<LayerCache> layers;  // blocks, then MTP modules
  std::vector<Tensor> storage;
  int num_pages = 0;

  KvCache() = default;
  /// The memory is touched when it is used. compute: the dtype of the activations.
  KvCache(const ModelConfig& config, DType compute, int pages, CacheFormat format);
  KvCache(const ModelConfig& config, DType compute, int pages) : KvCache(config, compute, pages, {compute}) {}
};

/// to[j] = the row of key j of the segment, j < k_len.
void gather_keys(Exec& ex, View to, ConstView from, const kernels::AttentionSegment& segment);

/// Values that one token takes in one layer (of MLA: the latent), and the bytes in a format.
index_t cache_width(const ModelConfig& config);
index_t cache_bytes(const ModelConfig& config, DType compute, CacheFormat format);

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

  SequenceCache(const ModelConfig& config, DType compute, index_t max_tokens, CacheFormat format);
};

}  // namespace hadal
