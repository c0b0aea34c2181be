#pragma once
// Which weights are read after which. A model multiplies by its weights in the same order for every token, so threads
// that wait can ask for the first lines of those that come next. Only time depends on it.
#include <span>
#include <unordered_map>
#include <vector>

#include "base/parallel.h"

namespace hadal {

/// Packed weights as a product of few rows reads them: `panels` of `panel_bytes` each from where a matrix begins.
struct WeightStream {
  std::span<const std::byte* const> matrices;  // where this array lies says which weights these are
  index_t panels = 0, panel_bytes = 0;
};

/// Panels [first, end): of `total`, those that a worker reads unless others help it.
struct StreamShare {
  index_t first = 0, end = 0;
  static constexpr StreamShare of(index_t total, index_t worker, index_t workers) {
    return {total * worker / workers, total * (worker + 1) / workers};
  }
};

class ReadOrder {
 public:
  /// A product with the matrices `active` of w begins: whoever waits after it asks for what followed it the last time.
  void begin(ThreadPool& pool, const WeightStream& w, std::span<const index_t> active);

 private:
  struct Product {
    const void* key = nullptr;
    std::vector<const std::byte*> matrices;  // a copy: the weights may go away
    index_t panels = 0, panel_bytes = 0;
    std::size_t next = 0;  // itself: not known
  };
  std::size_t find(const void* key);

  std::vector<Product> products_;
  std::unordered_map<const void*, std::size_t> numbers_;
  std::size_t last_ = 0;
};

}  // namespace hadal
