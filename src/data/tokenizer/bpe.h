#pragma once
// Byte pair encoding of one piece: of all adjacent pairs that have a merge, the earliest merge goes first, among equals
// the leftmost, until none is left.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/tokenizer_spec.h"

namespace hadal {

class Bpe {
 public:
  /// Throws when a byte has no token of its own.
  explicit Bpe(const TokenizerSpec& spec);

  /// Buffers that are reused from call to call.
  struct Workspace {
    std::vector<std::uint32_t> token, rank, next, previous;
    std::vector<std::uint64_t> heap;
  };

  /// Appends the ids of `piece`. O(n log n) in its length, for every input.
  void encode(std::string_view piece, Workspace& workspace, std::vector<int>& ids) const;

 private:
  struct Slot {
    std::uint64_t pair = kNoPair;
    std::uint32_t rank = 0, result = 0;
  };
  static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};
  static constexpr std::uint32_t kNoRank = ~std::uint32_t{0};

  const Slot* find(std::uint32_t left, std::uint32_t right) const;
  std::uint32_t rank_of(std::uint32_t left, std::uint32_t right) const {
    const Slot* slot = find(left, right);
    return slot == nullptr ? kNoRank : slot->rank;
  }
  void encode_short(std::string_view piece, std::vector<int>& ids) const;
  void encode_long(std::string_view piece, Workspace& workspace, std::vector<int>& ids) const;

  std::array<std::uint32_t, 256> byte_token_{};
  std::vector<std::uint32_t> result_of_rank_;
  std::vector<Slot> slots_;  // open addressing, at most half full
  int shift_ = 0;            // 64 - log2(slots)
};

}  // namespace hadal
