#include "nn/cache.h"

#include <numeric>

#include "tensor/copy.h"

namespace hadal {
namespace {

index_t key_width(const ModelConfig& c) {
  return c.uses_mla() ? c.kv_lora_rank : index_t{c.num_key_value_heads} * c.head_dim;
}
index_t value_width(const ModelConfig& c) {
  return c.uses_mla() ? c.qk_rope_head_dim : index_t{c.num_key_value_heads} * c.head_dim;
}

}  // namespace

index_t cache_width(const ModelConfig& config) {
  return key_width(config) + value_width(config);
}

KvCache::KvCache(const ModelConfig& config, DType dtype, int pages) : num_pages(pages) {
  const index_t rows = index_t{pages} * kernels::kAttentionPage;
  const int num_layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  for (int layer = 0; layer < num_layers; ++layer) {
    const View k = storage.emplace_back(dtype, rows, key_width(config)).view(),
               v = storage.emplace_back(dtype, rows, value_width(config)).view();
    layers.push_back({k, v});
  }
}

void scatter_rows(View to, std::span<const index_t> rows, ConstView from) {
  HADAL_CHECK(static_cast<index_t>(rows.size()) == from.rows, "scatter_rows: ", from.rows, " rows to ", rows.size(),
              " places");
  for (index_t t = 0; t < from.rows; ++t)
    copy_rows(to.slice_rows(rows[static_cast<std::size_t>(t)], 1), from.slice_rows(t, 1));
}

void gather_keys(View to, ConstView from, const kernels::AttentionSegment& segment) {
  for (index_t j = 0; j < segment.k_len; ++j) copy_rows(to.slice_rows(j, 1), from.slice_rows(segment.key_row(j), 1));
}

SequenceCache::SequenceCache(const ModelConfig& config, DType dtype, index_t max_tokens)
    : cache(config, dtype, pages_of(max_tokens)),
      pages(static_cast<std::size_t>(cache.num_pages)),
      capacity(max_tokens) {
  std::iota(pages.begin(), pages.end(), 0);
}

}  // namespace hadal
