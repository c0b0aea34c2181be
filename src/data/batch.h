#pragma once
#include <span>
#include <vector>

#include "base/parallel.h"

namespace hadal {

/// Token sequences, one after the other. targets[i] is the token after ids[i] (-1: no loss there). MTP depth k predicts
/// targets shifted by k inside the same sequence; nn masks what crosses a border.
struct Batch {
  std::vector<int> ids;                  // [T]
  std::vector<int> targets;              // [T]
  std::vector<int> positions;            // [T] position of each token in its sequence (its document when masked)
  std::vector<index_t> sequence_begins;  // [num_sequences + 1]: sequences as packed; balance losses count by these
  std::vector<index_t> segment_begins;   // [num_segments + 1]: what attention sees as one causal context; equal to
                                         // sequence_begins unless documents are masked from each other
};

/// Where batches come from: an endless stream of sequences, any stretch of which can be had at once.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Sequences [first, first + count) of the stream.
  virtual Batch batch(std::int64_t first, std::int64_t count) const = 0;
};

}  // namespace hadal
