#pragma once
// The endless stream of training tokens: epoch after epoch, each with its documents in an order of its own, one
// document behind the other. Any stretch of it can be read at once, from nothing but the seed and the place.
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "data/fim.h"
#include "formats/token_shard.h"

namespace hadal {

/// What becomes of a document in the stream.
struct PackOptions {
  int bos_id = -1, eos_id = -1;  // put before and behind it; -1: nothing
  FimOptions fim;
};

class TokenStream {
 public:
  /// `documents`: those of the shard that take part; empty: all. The shard must outlive the stream.
  TokenStream(const TokenShard& shard, std::vector<std::uint32_t> documents, const PackOptions& pack,
              std::uint64_t seed);
  ~TokenStream();

  /// Tokens of one epoch: all documents as they are packed.
  std::int64_t epoch_tokens() const { return epoch_tokens_; }
  index_t num_documents() const { return num_documents_; }

  /// Reads tokens [first, first + out.size()) of the stream. Appends to `starts` each place in `out` where a document
  /// begins. Safe from many threads.
  void read(std::int64_t first, std::span<int> out, std::vector<index_t>& starts) const;

 private:
  struct Epoch;

  index_t document(const Epoch& epoch, index_t place) const;
  index_t packed_length(index_t document) const;
  void read_document(index_t document, index_t first, std::span<int> out) const;
  std::shared_ptr<const Epoch> epoch(std::int64_t number) const;

  const TokenShard& shard_;
  std::vector<std::uint32_t> documents_;
  PackOptions pack_;
  std::uint64_t seed_;
  index_t num_documents_ = 0;
  std::int64_t epoch_tokens_ = 0;
  // Indexes of the last two epochs, since making one walks over all documents. A function of the seed: no state.
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Epoch> recent_[2];
};

}  // namespace hadal
