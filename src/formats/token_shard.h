#pragma once
// A corpus as token ids: documents one after the other, memory-mapped.
//
// Layout, little endian: 8 bytes "HADALTOK", u32 version, u32 bytes of a token (2 or 4), u64 vocabulary size, u64
// number of documents, u64 number of tokens, u64 XXH3 of all that follows. Version 1, plain documents: u64
// offsets[documents + 1], tokens. Version 2, what data prepare writes: u64 number of sequences, u64 tokens of a full
// sequence (0: not packed), u64 offsets[documents + 1], u64 sequence begins[sequences + 1] in tokens when there are
// sequences, u32 document infos[documents, made even], tokens.
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/parallel.h"

namespace hadal {

/// How a document was made fit for filling in the middle.
enum class FimKind : std::uint8_t { kNone, kPsm, kSpm };

/// What a shard says about a document beside its tokens. Class, language and source are numbers of data/corpus.
struct DocumentInfo {
  std::uint8_t text_class = 0, language = 0, source = 0;
  FimKind fim = FimKind::kNone;
  bool continued = false;  // goes on where the piece before it in its document ended
  bool operator==(const DocumentInfo&) const = default;
};

/// An open shard. Untrusted input: sizes, offsets and the checksum are verified when it is opened.
class TokenShard {
 public:
  /// Throws Error on anything malformed. verify: read the whole file once and compare the checksum.
  explicit TokenShard(const std::filesystem::path& path, bool verify = true);
  ~TokenShard();
  TokenShard(TokenShard&&) noexcept;
  TokenShard& operator=(TokenShard&&) noexcept;

  int vocab_size() const;
  index_t num_documents() const;
  index_t num_tokens() const;
  index_t document_length(index_t document) const;
  /// The token of the shard at which a document begins; num_tokens() for the one behind the last.
  index_t document_begin(index_t document) const;
  DocumentInfo document_info(index_t document) const;
  /// Token `index` of a document. Throws Error when it is outside the vocabulary.
  int token(index_t document, index_t index) const;
  /// Tokens [first, first + out.size()) of a document. Throws Error as token() does.
  void read(index_t document, index_t first, std::span<int> out) const;
  std::uint64_t checksum() const;

  /// Sequences that the documents were packed into; 0: not packed.
  index_t num_sequences() const;
  /// Tokens of a full sequence; 0: not packed. Sequences may be shorter: the rest is padding for the reader to add.
  index_t sequence_length() const;
  /// The token of the shard at which a sequence begins; num_tokens() for the one behind the last.
  index_t sequence_begin(index_t sequence) const;
  /// Tokens [first, first + out.size()) of the shard, across documents.
  void read_tokens(index_t first, std::span<int> out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes a shard of plain documents; to a temporary name first, renamed when whole. Throws Error on an id outside [0,
/// vocab_size).
void write_token_shard(const std::filesystem::path& path, int vocab_size, std::span<const std::vector<int>> documents);

/// A shard in memory.
struct ShardContents {
  int vocab_size = 0;
  std::vector<int> tokens;
  std::vector<index_t> document_begins;  // [documents + 1] in tokens
  std::vector<DocumentInfo> infos;       // [documents]
  index_t sequence_length = 0;           // 0: not packed
  std::vector<index_t> sequence_begins;  // [sequences + 1] in tokens; empty when not packed
};
/// Writes it as version 2. Throws Error when the parts do not fit each other.
void write_token_shard(const std::filesystem::path& path, const ShardContents& contents);

}  // namespace hadal
