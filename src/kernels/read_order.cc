#include "kernels/read_order.h"

#include <algorithm>

namespace hadal {

std::size_t ReadOrder::find(const void* key) {
  constexpr std::size_t kMost = 1 << 16;  // of many models, one after the other
  if (!products_.empty() && products_[products_[last_].next].key == key) return products_[last_].next;
  if (products_.size() == kMost) products_.clear(), numbers_.clear(), last_ = 0;
  const auto [at, added] = numbers_.try_emplace(key, products_.size());
  if (added) products_.push_back({.key = key, .matrices = {}, .next = at->second});
  return at->second;
}

void ReadOrder::begin(ThreadPool& pool, const WeightStream& w, std::span<const index_t> active) {
  const int workers = pool.num_threads();
  if (workers == 1) return;
  const std::size_t now = find(static_cast<const void*>(w.matrices.data()));
  Product& product = products_[now];
  product.matrices.assign(w.matrices.begin(), w.matrices.end());
  product.panels = w.panels, product.panel_bytes = w.panel_bytes;
  products_[last_].next = now;
  last_ = now;

  const Product& next = products_[product.next];
  // Of several matrices it is not known which will be asked for, unless they are the other half of these experts.
  static constexpr index_t kOnly[] = {0};
  std::span<const index_t> after = next.matrices.size() == 1 ? std::span(kOnly) : active;
  if (next.matrices.size() != 1 && next.matrices.size() != product.matrices.size()) after = {};
  const index_t total = next.panels * std::ssize(after);
  for (int worker = 0; worker < workers; ++worker) {
    const StreamShare share = StreamShare::of(total, worker, workers);
    const std::byte* begin = nullptr;
    index_t count = 0;
    if (share.first < share.end) {
      const index_t first = share.first % next.panels;
      begin = next.matrices[static_cast<std::size_t>(after[static_cast<std::size_t>(share.first / next.panels)])];
      if (begin != nullptr)
        begin += first * next.panel_bytes, count = std::min(share.end - share.first, next.panels - first);
    }
    pool.ahead(worker).expect(begin, static_cast<std::size_t>(count * next.panel_bytes));
  }
}

}  // namespace hadal
