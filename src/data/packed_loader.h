#pragma once
// Batches out of sequences that were packed already (hadal data prepare).
#include <span>
#include <vector>

#include "data/batch.h"
#include "formats/token_shard.h"

namespace hadal {

/// An endless stream over all sequences of all shards, each epoch in an order of its own. A batch is a pure function of
/// the seed and the place in the stream. Sequences that are shorter than others are filled up behind; what was filled
/// up, and the last token of a sequence, have no target.
class PackedLoader : public BatchSource {
 public:
  /// mask_documents: documents of one sequence do not see each other. The shards must outlive the loader and be packed
  /// to one length.
  PackedLoader(std::span<const TokenShard> shards, std::uint64_t seed, bool mask_documents, int pad_id);

  int sequence_length() const { return sequence_length_; }
  std::int64_t num_sequences() const { return begins_.back(); }
  Batch batch(std::int64_t first, std::int64_t count) const override;

 private:
  std::span<const TokenShard> shards_;
  std::uint64_t seed_;
  bool mask_documents_;
  int pad_id_, sequence_length_ = 0;
  std::vector<std::int64_t> begins_;  // [shards + 1]: sequences before each shard
};

}  // namespace hadal
