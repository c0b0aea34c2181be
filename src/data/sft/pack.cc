#include "data/sft/pack.h"

#include <set>

#include "base/error.h"

namespace hadal {

Packing pack_best_fit(std::span<const std::int64_t> lengths, std::span<const std::uint32_t> order,
                      std::int64_t capacity, int max_open) {
  HADAL_CHECK(capacity > 0 && max_open > 0, "pack: capacity ", capacity, ", max_open ", max_open, ", want at least 1");
  Packing sequences;
  std::set<std::pair<std::int64_t, std::size_t>> open;  // room left, sequence
  for (const std::uint32_t sample : order) {
    HADAL_CHECK(sample < lengths.size(), "pack: sample ", sample, " of ", lengths.size());
    const std::int64_t length = lengths[sample];
    HADAL_CHECK(length > 0 && length <= capacity, "pack: a sample of ", length, " tokens, want 1 to ", capacity);
    auto best = open.lower_bound({length, 0});
    std::int64_t room = capacity;
    std::size_t sequence = sequences.size();
    if (best == open.end()) {
      sequences.emplace_back();
    } else {
      std::tie(room, sequence) = *best;
      open.erase(best);
    }
    sequences[sequence].push_back(sample);
    if (room > length) open.emplace(room - length, sequence);
    if (open.size() > static_cast<std::size_t>(max_open)) open.erase(open.begin());
  }
  return sequences;
}

}  // namespace hadal
