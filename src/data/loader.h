#pragma once
#include <vector>

#include "data/batch.h"
#include "data/fim.h"
#include "formats/token_shard.h"

namespace hadal {

struct LoaderOptions {
  bool add_bos = false, add_eos = true;
  bool mask_documents = false;
  double validation_share = 0;
  FimOptions fim;
  template <class V>
  void visit(V&& v) {
    v("add_bos", add_bos, "begin every document with BOS");
    v("add_eos", add_eos, "end every document with EOS");
    v("mask_documents", mask_documents, "documents of one sequence do not see each other (V3 pre-training: false)");
    v("validation_share", validation_share, "share of the documents that is never trained on");
    v.group("fim", fim, "fill-in-the-middle");
  }
};

enum class Split : std::uint8_t { kTrain, kValidation };

/// An endless stream of training sequences over a shard: epochs of all documents, each epoch in its own random order,
/// concatenated and cut into pieces of seq_length (DeepSeek-V3 report 4.1). Sequence i is a pure function of (seed, i),
/// so a resumed run needs nothing but the number of sequences it has used.
class Loader {
 public:
  /// bos_id, eos_id: needed where the options add them. The shard must outlive the loader.
  Loader(const TokenShard& shard, const LoaderOptions& options, std::uint64_t seed, Split split, int seq_length,
         int bos_id, int eos_id);

  /// Sequences [first, first + count).
  Batch batch(std::int64_t first, std::int64_t count);
  /// Tokens of one pass over the documents, with what is added to them.
  std::int64_t tokens_per_epoch() const { return tokens_per_epoch_; }
  std::int64_t num_documents() const { return static_cast<std::int64_t>(documents_.size()); }

 private:
  struct Epoch {
    std::int64_t number = -1;
    std::vector<index_t> order;        // documents
    std::vector<std::int64_t> begins;  // place of each in the epoch's stream
  };
  index_t packed_length(index_t document) const;
  int token_at(index_t document, index_t place) const;
  const Epoch& epoch(std::int64_t number);
  void append_sequence(Batch& batch, std::int64_t index);

  const TokenShard& shard_;
  LoaderOptions options_;
  std::uint64_t seed_;
  int seq_length_, bos_id_, eos_id_;
  std::vector<index_t> documents_;
  std::int64_t tokens_per_epoch_ = 0;
  Epoch epochs_[2];  // the present one, and the next where a sequence runs over the border
};

}  // namespace hadal
