#pragma once
// Samples for supervised fine-tuning as token ids with a loss mask, packed into sequences, memory-mapped.
//
// Layout, little endian: 8 bytes "HADALSFT", u32 version, u32 bytes of a token (2 or 4), u64 vocabulary size, u64
// capacity (tokens of a sequence at most), u64 number of sequences, u64 number of samples, u64 number of tokens, u64
// XXH3 of all that follows; then u64 sequences[number + 1] (in samples), u64 samples[number + 1] (in tokens), u64
// source[number of samples] (the line that a sample comes from, counted over all inputs), the tokens, and one bit per
// token, lowest bit first: trained or not.
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/parallel.h"

namespace hadal {

/// An open shard. Untrusted input: sizes, offsets and the checksum are verified when it is opened.
class SftShard {
 public:
  /// Throws Error on anything malformed. verify: read the whole file once and compare the checksum.
  explicit SftShard(const std::filesystem::path& path, bool verify = true);
  ~SftShard();
  SftShard(SftShard&&) noexcept;
  SftShard& operator=(SftShard&&) noexcept;

  int vocab_size() const;
  index_t capacity() const;
  index_t num_sequences() const;
  index_t num_samples() const;
  index_t num_tokens() const;
  std::uint64_t checksum() const;

  /// Samples [first, second) make up a sequence.
  std::pair<index_t, index_t> sequence(index_t index) const;
  index_t sample_length(index_t sample) const;
  index_t source(index_t sample) const;
  /// Appends ids and mask of a sample. Throws Error on an id outside the vocabulary.
  void read(index_t sample, std::vector<int>& ids, std::vector<char>& trained) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct SftShardSample {
  std::span<const int> ids;
  std::span<const char> trained;  // one for each id
  index_t source = 0;
};

/// Writes a shard; to a temporary name first, renamed when whole. `sequences`: which samples each sequence holds; every
/// sample is in one. Throws Error on an id outside [0, vocab_size) and on a sequence above the capacity.
void write_sft_shard(const std::filesystem::path& path, int vocab_size, index_t capacity,
                     std::span<const SftShardSample> samples, std::span<const std::vector<std::uint32_t>> sequences);

}  // namespace hadal
