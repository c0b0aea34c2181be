#pragma once
// Byte pair encoding of one piece: of all adjacent pairs that have a merge, the earliest merge goes first, among equals
// the leftmost, until none is left.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/tokenizer_spec.h"

namespace hadal {

/// The merges as a hash table from pairs of tokens to ranks (the place in the list of merges).
class MergeTable {
 public:
  static constexpr std::uint32_t kNoRank = (1U << 22) - 1;

  /// Throws when there are 2^22 - 1 merges or 2^21 - 1 tokens or more.
  explicit MergeTable(const TokenizerSpec& spec);

  /// kNoRank when the pair has no merge.
  std::uint32_t rank(std::uint32_t left, std::uint32_t right) const {
    const std::uint64_t pair = (std::uint64_t{left} << 21) | right;
    for (std::size_t i = slot_of(pair);; i = (i + 1) & mask_) {
      if ((slots_[i] >> 22) == pair) return static_cast<std::uint32_t>(slots_[i]) & kNoRank;
      if (slots_[i] == kEmpty) return kNoRank;
    }
  }
  /// The token that a merge makes.
  std::uint32_t result(std::uint32_t rank) const { return results_[rank]; }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  std::size_t slot_of(std::uint64_t pair) const {
    return static_cast<std::size_t>(((pair ^ (pair >> 23)) * 0x9E3779B97F4A7C15ULL) >> shift_);
  }

  std::vector<std::uint64_t> slots_;  // pair in the upper 42 bits, rank in the lower 22; at most half full
  std::vector<std::uint32_t> results_;
  std::size_t mask_ = 0;
  int shift_ = 0;
};

/// Characters at which merging may start instead of at their bytes. A character qualifies when its bytes always merge
/// into one token before any of them can merge with a neighbour: every merge that reaches over its borders comes later
/// than all those inside it.
class CharacterTokens {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  CharacterTokens(const TokenizerSpec& spec, const MergeTable& merges,
                  const std::array<std::uint32_t, 256>& byte_token);

  /// The token of a character of two or three bytes, or kNone. c <= U+FFFF.
  std::uint32_t of(char32_t c) const { return token_of_[c]; }

 private:
  std::vector<std::uint32_t> token_of_;
};

class Bpe {
 public:
  /// Throws when a byte that UTF-8 uses has no token of its own.
  explicit Bpe(const TokenizerSpec& spec);

  /// Buffers that are reused from call to call.
  struct Workspace {
    std::vector<std::uint32_t> token, rank, next, previous;
    std::vector<std::uint64_t> heap;
  };

  /// Appends the ids of a piece as Splitter makes them: well-formed UTF-8, or bytes that form no character at all. Of
  /// the latter, those without a token (DeepSeek LLM's vocabulary has none for the 13 bytes that UTF-8 never uses) are
  /// read as U+FFFD. O(n log n) in its length, for every input.
  void encode(std::string_view piece, Workspace& workspace, std::vector<int>& ids) const;

 private:
  void merge(std::string_view piece, Workspace& workspace, std::vector<int>& ids) const;
  std::size_t start(std::string_view piece, std::vector<std::uint32_t>& tokens) const;
  void merge_few(std::uint32_t* token, std::size_t n, std::vector<int>& ids) const;
  void merge_many(Workspace& workspace, std::size_t n, std::vector<int>& ids) const;

  std::array<std::uint32_t, 256> byte_token_;
  bool all_bytes_ = true;
  MergeTable merges_;
  CharacterTokens characters_;
};

}  // namespace hadal
