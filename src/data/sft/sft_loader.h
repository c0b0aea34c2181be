#pragma once
#include "data/batch.h"
#include "data/permutation.h"
#include "formats/sft_shard.h"

namespace hadal {

/// An endless stream of fine-tuning sequences over a shard: epochs of all sequences, each epoch in its own random
/// order. A batch is a function of the seed and the place in the stream. Each sample is a causal context of its own
/// with positions from 0; targets are those that are trained and nothing else; what is left of a sequence is padding
/// without targets.
class SftLoader : public BatchSource {
 public:
  /// pad_id: any id of the vocabulary; nothing is predicted from or to padding. The shard must outlive the loader.
  SftLoader(const SftShard& shard, std::uint64_t seed, int pad_id);

  index_t sequences_per_epoch() const { return shard_.num_sequences(); }
  /// Sequences [first, first + count) of the stream, of shard.capacity() tokens each.
  Batch batch(std::int64_t first, std::int64_t count) const override;
  /// Which sequence of the shard stands at a place of the stream.
  index_t sequence_at(std::int64_t place) const;

 private:
  const SftShard& shard_;
  std::uint64_t seed_;
  int pad_id_;
};

}  // namespace hadal
