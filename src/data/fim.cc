#include "data/fim.h"

#include <utility>

#include "base/random.h"

namespace hadal {

index_t FimLayout::source(index_t place) const {
  if (!active()) return place;
  if (place == 0) return -1;
  if (--place < cut_a) return place;
  if (place == cut_a) return -2;
  const index_t suffix = place - cut_a - 1, suffix_length = length - cut_b;
  if (suffix < suffix_length) return cut_b + suffix;
  if (suffix == suffix_length) return -3;
  return cut_a + suffix - suffix_length - 1;
}

FimLayout fim_layout(const FimOptions& options, std::uint64_t seed, index_t document, index_t length) {
  FimLayout layout{.length = length};
  const auto key = static_cast<std::uint64_t>(document) * 3;
  if (options.rate <= 0 || length < 2 || random_uniform(seed, Stream::kFim, key) >= options.rate) return layout;
  const auto places = static_cast<std::uint64_t>(length) + 1;
  layout.cut_a = static_cast<index_t>(random_below(seed, Stream::kFim, key + 1, places));
  layout.cut_b = static_cast<index_t>(random_below(seed, Stream::kFim, key + 2, places));
  if (layout.cut_a > layout.cut_b) std::swap(layout.cut_a, layout.cut_b);
  return layout;
}

}  // namespace hadal
