#pragma once
// Samples into sequences.
#include <cstdint>
#include <span>
#include <vector>

namespace hadal {

/// Which samples each sequence holds, in order.
using Packing = std::vector<std::vector<std::uint32_t>>;

/// Puts samples, taken in the order given, into sequences of at most `capacity` tokens: each into the open sequence
/// that it fills best, or into a new one when it fits into none. At most `max_open` sequences are open; the fullest is
/// closed first. No sample is cut. Every length is in [1, capacity].
Packing pack_best_fit(std::span<const std::int64_t> lengths, std::span<const std::uint32_t> order,
                      std::int64_t capacity, int max_open = 512);

}  // namespace hadal
