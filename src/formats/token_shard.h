#pragma once
// A corpus as token ids: documents one after the other, memory-mapped.
//
// Layout, little endian: 8 bytes "HADALTOK", u32 version, u32 bytes of a token (2 or 4), u64 vocabulary size, u64
// number of documents, u64 number of tokens, u64 XXH3 of all that follows; then u64 offsets[documents + 1], then the
// tokens.
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/parallel.h"

namespace hadal {

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
  /// Token `index` of a document. Throws Error when it is outside the vocabulary.
  int token(index_t document, index_t index) const;
  /// Tokens [first, first + out.size()) of a document. Throws Error as token() does.
  void read(index_t document, index_t first, std::span<int> out) const;
  std::uint64_t checksum() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes a shard; to a temporary name first, renamed when whole. Throws Error on an id outside [0, vocab_size).
void write_token_shard(const std::filesystem::path& path, int vocab_size, std::span<const std::vector<int>> documents);

}  // namespace hadal
