#pragma once
#include <span>

#include "kernels/attention.h"

namespace hadal {

/// What every layer of one forward pass shares.
struct ForwardBatch {
  std::span<const int> positions;  // [T] rotary position of each row
  std::span<const kernels::AttentionSegment> segments;
  std::span<const index_t> sequence_begins;  // balance losses count by these
  ConstView rope_table;                      // cos | sin
  std::span<const index_t> cache_rows;       // [T] with caches: the row that a token's entry goes to
  index_t num_absorbed = 0;  // MLA: the first so many segments (and rows of x) attend in the latent space
};

}  // namespace hadal
