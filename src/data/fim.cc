#include "data/fim.h"

#include <utility>

#include "base/random.h"

namespace hadal {

index_t FimLayout::source(index_t place) const {
  if (!active()) return place;
  // What stands before the hole is the prefix, or nothing; it is missing behind the end then.
  const index_t before = kind == FimKind::kPsm ? cut_a : 0;
  if (place == 0) return -1;
  if (--place < before) return place;
  if (place == before) return -2;
  const index_t suffix = place - before - 1, suffix_length = length - cut_b;
  if (suffix < suffix_length) return cut_b + suffix;
  if (suffix == suffix_length) return -3;
  return before + suffix - suffix_length - 1;
}

FimLayout fim_layout(const FimOptions& options, std::uint64_t seed, index_t document, index_t length) {
  FimLayout layout{.length = length};
  const auto key = static_cast<std::uint64_t>(document) * 3;
  constexpr std::uint64_t kOrder = std::uint64_t{1} << 63;  // draws of the order, apart from the others
  if (options.rate <= 0 || length < 2 || random_uniform(seed, Stream::kFim, key) >= options.rate) return layout;
  const auto places = static_cast<std::uint64_t>(length) + 1;
  layout.cut_a = static_cast<index_t>(random_below(seed, Stream::kFim, key + 1, places));
  layout.cut_b = static_cast<index_t>(random_below(seed, Stream::kFim, key + 2, places));
  if (layout.cut_a > layout.cut_b) std::swap(layout.cut_a, layout.cut_b);
  const bool spm =
      options.spm_share > 0 &&
      random_uniform(seed, Stream::kFim, kOrder + static_cast<std::uint64_t>(document)) < options.spm_share;
  layout.kind = spm ? FimKind::kSpm : FimKind::kPsm;
  return layout;
}

}  // namespace hadal
