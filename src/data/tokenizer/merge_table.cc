#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/utf8.h"
#include "data/tokenizer/bpe.h"

namespace hadal {

MergeTable::MergeTable(const TokenizerSpec& spec) {
  HADAL_CHECK(spec.merges.size() < kNoRank, "tokenizer: ", spec.merges.size(), " merges, want fewer than ", kNoRank);
  HADAL_CHECK(spec.tokens.size() < (1U << 21) - 1, "tokenizer: ", spec.tokens.size(), " tokens, want fewer than ",
              (1U << 21) - 1);
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(16, 2 * spec.merges.size()));
  mask_ = size - 1;
  shift_ = 64 - std::countr_zero(size);
  slots_.assign(size, kEmpty);
  for (std::uint32_t rank = 0; rank < spec.merges.size(); ++rank) {
    const TokenizerSpec::Merge& merge = spec.merges[rank];
    const std::uint64_t pair = (static_cast<std::uint64_t>(merge.left) << 21) | static_cast<std::uint64_t>(merge.right);
    std::size_t i = slot_of(pair);
    while (slots_[i] != kEmpty && (slots_[i] >> 22) != pair) i = (i + 1) & mask_;
    slots_[i] = (pair << 22) | rank;  // of two merges of one pair the later counts, as elsewhere
    results_.push_back(static_cast<std::uint32_t>(merge.result));
  }
}

CharacterTokens::CharacterTokens(const TokenizerSpec& spec, const MergeTable& merges,
                                 const std::array<std::uint32_t, 256>& byte_token)
    : token_of_(0x10000, kNone) {
  // The earliest merge of each token with something on its left, and with the start of a character on its right.
  std::vector<std::uint32_t> earliest_as_right(spec.tokens.size(), MergeTable::kNoRank);
  std::vector<std::uint32_t> earliest_as_left(spec.tokens.size(), MergeTable::kNoRank);
  for (std::uint32_t rank = 0; rank < spec.merges.size(); ++rank) {
    const TokenizerSpec::Merge& merge = spec.merges[rank];
    const auto left = static_cast<std::size_t>(merge.left), right = static_cast<std::size_t>(merge.right);
    earliest_as_right[right] = std::min(earliest_as_right[right], rank);
    const auto first_byte = static_cast<unsigned char>(spec.tokens[right].bytes[0]);
    if ((first_byte & 0xC0) != 0x80) earliest_as_left[left] = std::min(earliest_as_left[left], rank);
  }
  constexpr std::uint32_t kNever = MergeTable::kNoRank;
  const auto token_of_pair = [&](std::uint32_t rank) { return rank == kNever ? kNone : merges.result(rank); };
  for (int id = 0; id < spec.vocab_size(); ++id) {
    const std::string& bytes = spec.tokens[static_cast<std::size_t>(id)].bytes;
    if (bytes.size() < 2 || bytes.size() > 3 || spec.tokens[static_cast<std::size_t>(id)].literal) continue;
    const CodePoint c = decode_utf8(bytes.data(), bytes.data() + bytes.size());
    if (static_cast<std::size_t>(c.length) != bytes.size()) continue;
    std::array<std::uint32_t, 3> b{};
    for (std::size_t i = 0; i < bytes.size(); ++i) b[i] = byte_token[static_cast<unsigned char>(bytes[i])];
    // `first`, `last`: the merges inside the character. `border`: the earliest merge over one of its borders, of any
    // token that its bytes may form on the way.
    const std::uint32_t front = merges.rank(b[0], b[1]);
    std::uint32_t first = front, last = front, border = earliest_as_right[b[0]];
    if (bytes.size() == 2) {
      border = std::min(border, earliest_as_left[b[1]]);
    } else {
      const std::uint32_t back = merges.rank(b[1], b[2]);
      const std::uint32_t front_token = token_of_pair(front), back_token = token_of_pair(back);
      border = std::min(border, earliest_as_left[b[2]]);
      if (front_token != kNone) border = std::min(border, earliest_as_right[front_token]);
      if (back_token != kNone) border = std::min(border, earliest_as_left[back_token]);
      if (front == kNever && back == kNever) continue;
      first = std::min(front, back);
      last = front <= back ? merges.rank(front_token, b[2]) : merges.rank(b[0], back_token);
    }
    if (last == kNever || std::max(first, last) >= border) continue;
    token_of_[c.value] = merges.result(last);
  }
}

}  // namespace hadal
