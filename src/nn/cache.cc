#include "nn/cache.h"

#include <numeric>

#include "kernels/coded_rows.h"

namespace hadal {
namespace {

index_t key_width(const ModelConfig& c, bool per_head) {
  if (!c.uses_mla()) return index_t{c.num_key_value_heads} * c.head_dim;
  return per_head ? index_t{c.num_attention_heads} * (c.qk_nope_head_dim + c.v_head_dim) : index_t{c.kv_lora_rank};
}
index_t value_width(const ModelConfig& c) {
  return c.uses_mla() ? c.qk_rope_head_dim : index_t{c.num_key_value_heads} * c.head_dim;
}

DType value_format(const ModelConfig& c, DType compute, DType format) {
  return c.uses_mla() ? compute : format;
}
index_t row_bytes(index_t width, DType dtype) {
  return kernels::is_coded(dtype) ? kernels::coded_row_bytes(width) : bytes_of(dtype, width);
}

}  // namespace

CacheFormat parse_cache_format(std::string_view name, DType compute) {
  if (name == "bf16") return {compute};
  if (name == "fp8") return {DType::kE4M3};
  if (name == "int8") return {DType::kI8};
  if (name == "heads") return {compute, /*per_head=*/true};
  fail("cache: got \"", name, "\", want bf16|fp8|int8|heads");
}

index_t cache_width(const ModelConfig& config) {
  return key_width(config, /*per_head=*/false) + value_width(config);
}

index_t cache_bytes(const ModelConfig& config, DType compute, CacheFormat format) {
  return row_bytes(key_width(config, format.per_head), format.dtype) +
         row_bytes(value_width(config), value_format(config, compute, format.dtype));
}

KvCache::KvCache(const ModelConfig& config, DType compute, int pages, CacheFormat format) : num_pages(pages) {
  HADAL_CHECK(format.dtype == compute || (kernels::is_coded(format.dtype) && !format.per_head),
              "cache: ", dtype_name(compute), " activations in ", dtype_name(format.dtype));
  const index_t rows = index_t{pages} * kernels::kAttentionPage;
  const int num_layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  const auto add = [&](DType dtype, index_t width) {
    const index_t stride = row_bytes(width, dtype) / bytes_of(dtype, 1);
    const View all = storage.emplace_back(dtype, rows, stride).view();
    return View{all.data, dtype, rows, width, stride};
  };
  for (int layer = 0; layer < num_layers; ++layer) {
    const View k = add(format.dtype, key_width(config, format.per_head));
    const View v = add(value_format(config, compute, format.dtype), value_width(config));
    layers.push_back({k, v, format.per_head && config.uses_mla()});
  }
}

void gather_keys(Exec& ex, View to, ConstView from, const kernels::AttentionSegment& segment) {
  std::vector<index_t> rows;
  for (index_t j = 0; j < segment.k_len; ++j) rows.push_back(segment.key_row(j));
  kernels::load_rows(ex, to, from, rows);
}

SequenceCache::SequenceCache(const ModelConfig& config, DType compute, index_t max_tokens, CacheFormat format)
    : cache(config, compute, pages_of(max_tokens), format),
      pages(static_cast<std::size_t>(cache.num_pages)),
      capacity(max_tokens) {
  std::iota(pages.begin(), pages.end(), 0);
}

}  // namespace hadal
