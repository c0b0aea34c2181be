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
  bool absorbed = false;                     // MLA: attend in the latent space (decode)
};

/// The cached keys and values of one layer, for generation: rows [0, length) hold the past; forward writes the new rows
/// behind it. MLA: `k` holds the normalised latent [S, C], `v` the rotated key [S, R]. GQA: keys and values [S, Hk *
/// dim].
struct LayerCache {
  View k, v;
  index_t length = 0;
};

}  // namespace hadal
