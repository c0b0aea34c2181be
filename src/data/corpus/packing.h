#pragma once
// Documents into training sequences. Nothing is lost or taken twice.
#include <span>
#include <string_view>
#include <vector>

#include "base/parallel.h"

namespace hadal {

/// A stretch of a document at its place in the packed order.
struct PackedPiece {
  index_t document = 0, begin = 0, length = 0;
  bool operator==(const PackedPiece&) const = default;
};

struct PackedSequences {
  std::vector<PackedPiece> pieces;       // in the order in which they stand
  std::vector<index_t> sequence_begins;  // [sequences + 1] in tokens; empty when not packed
};

/// Documents one behind the other; a sequence begins every `sequence_length` tokens, wherever that is. Only the last
/// sequence may be shorter. Each document is one piece. sequence_length 0: no sequences.
PackedSequences concatenate(std::span<const index_t> lengths, index_t sequence_length);

/// Whole documents into sequences of at most `sequence_length` tokens, best fit, longest first (Ding et al. 2024,
/// "Fewer Truncations Improve Language Modeling"): each goes where it leaves the least room. Documents longer than a
/// sequence are cut into full sequences and a rest. Pieces of a document stand in order, and so do documents within a
/// sequence.
PackedSequences best_fit(std::span<const index_t> lengths, index_t sequence_length);

}  // namespace hadal
