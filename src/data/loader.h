#pragma once
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/token_stream.h"

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
/// concatenated and cut into sequences (DeepSeek-V3 report 4.1). A batch is a pure function of the seed, the place in
/// the stream and its shape: a resumed run needs nothing but the number of tokens (or sequences) it has used, and batch
/// size and sequence length may change from step to step.
class Loader : public BatchSource {
 public:
  /// bos_id, eos_id: needed where the options add them. The shard must outlive the loader.
  Loader(const TokenShard& shard, const LoaderOptions& options, std::uint64_t seed, Split split, int seq_length,
         int bos_id, int eos_id);

  /// Sequences [first, first + count) of seq_length tokens each. The target of a token is the one behind it in the
  /// stream; none (-1) where documents are masked and the next one begins.
  Batch batch(std::int64_t first, std::int64_t count) const override {
    return batch_at(first * seq_length_, count, seq_length_);
  }
  /// The `count` sequences of `seq_length` tokens behind the first `tokens_used` tokens of the stream.
  Batch batch_at(std::int64_t tokens_used, std::int64_t count, int seq_length) const;

  /// Tokens of one pass over the documents, with what is added to them.
  std::int64_t tokens_per_epoch() const { return stream_.epoch_tokens(); }
  std::int64_t num_documents() const { return stream_.num_documents(); }

 private:
  LoaderOptions options_;
  int seq_length_;
  TokenStream stream_;
};

/// Bytes of text that the targets of a batch stand for; `text_bytes_per_token` as Tokenizer gives it. Bits per byte are
/// the summed loss in nats / log(2) / this.
std::int64_t target_text_bytes(const Batch& batch, std::span<const int> text_bytes_per_token);

}  // namespace hadal
