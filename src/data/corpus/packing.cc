#include "data/corpus/packing.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"

namespace hadal {

PackedSequences concatenate(std::span<const index_t> lengths, index_t sequence_length) {
  PackedSequences packed;
  index_t total = 0;
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    packed.pieces.push_back({static_cast<index_t>(d), 0, lengths[d]});
    total += lengths[d];
  }
  if (sequence_length == 0) return packed;
  for (index_t begin = 0; begin < total; begin += sequence_length) packed.sequence_begins.push_back(begin);
  packed.sequence_begins.push_back(total);
  return packed;
}

PackedSequences best_fit(std::span<const index_t> lengths, index_t sequence_length) {
  HADAL_CHECK(sequence_length > 0, "packing: sequences of ", sequence_length, " tokens");
  std::vector<PackedPiece> pieces;
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    index_t begin = 0;
    do {
      const index_t length = std::min(sequence_length, lengths[d] - begin);
      pieces.push_back({static_cast<index_t>(d), begin, length});
      begin += length;
    } while (begin < lengths[d]);
  }
  std::vector<std::size_t> by_length(pieces.size());
  std::iota(by_length.begin(), by_length.end(), std::size_t{0});
  std::stable_sort(by_length.begin(), by_length.end(),
                   [&](std::size_t a, std::size_t b) { return pieces[a].length > pieces[b].length; });

  std::vector<std::vector<std::size_t>> sequences;
  std::set<std::pair<index_t, std::size_t>> rooms;  // free tokens and sequence; the smallest room that fits is taken
  for (const std::size_t p : by_length) {
    const index_t length = pieces[p].length;
    const auto room = rooms.lower_bound({length, 0});
    std::size_t s = sequences.size();
    index_t left = sequence_length - length;
    if (room == rooms.end()) {
      sequences.emplace_back();
    } else {
      s = room->second;
      left = room->first - length;
      rooms.erase(room);
    }
    sequences[s].push_back(p);
    if (left > 0) rooms.insert({left, s});
  }
  for (std::vector<std::size_t>& sequence : sequences) std::sort(sequence.begin(), sequence.end());
  // By their last piece: a rest then never stands before the full sequences of its document.
  std::sort(sequences.begin(), sequences.end(), [](const auto& a, const auto& b) { return a.back() < b.back(); });

  PackedSequences packed;
  index_t total = 0;
  for (const std::vector<std::size_t>& sequence : sequences) {
    packed.sequence_begins.push_back(total);
    for (const std::size_t p : sequence) {
      packed.pieces.push_back(pieces[p]);
      total += pieces[p].length;
    }
  }
  packed.sequence_begins.push_back(total);
  return packed;
}

}  // namespace hadal
