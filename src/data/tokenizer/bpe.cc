#include "data/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/error.h"

namespace hadal {
namespace {

// Up to here, looking at all pairs for the smallest rank beats a heap.
constexpr std::size_t kShort = 48;

constexpr std::uint64_t pair_of(std::uint32_t left, std::uint32_t right) { return (std::uint64_t{left} << 32) | right; }

std::size_t slot_of(std::uint64_t pair, int shift) {
  const std::uint64_t x = (pair ^ (pair >> 29)) * 0x9E3779B97F4A7C15ULL;
  return static_cast<std::size_t>(((x ^ (x >> 32)) * 0xD6E8FEB86659FD93ULL) >> shift);
}

}  // namespace

Bpe::Bpe(const TokenizerSpec& spec) {
  std::array<bool, 256> known{};
  for (int id = 0; id < spec.vocab_size(); ++id) {
    const TokenizerSpec::Token& token = spec.tokens[static_cast<std::size_t>(id)];
    if (token.literal || token.bytes.size() != 1) continue;
    const auto byte = static_cast<unsigned char>(token.bytes[0]);
    known[byte] = true;
    byte_token_[byte] = static_cast<std::uint32_t>(id);
  }
  const auto missing = std::find(known.begin(), known.end(), false);
  HADAL_CHECK(missing == known.end(), "tokenizer: byte ", missing - known.begin(), " has no token, want all 256");

  const std::size_t size = std::bit_ceil(std::max<std::size_t>(16, 2 * spec.merges.size()));
  shift_ = 64 - std::countr_zero(size);
  slots_.resize(size);
  for (std::size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const TokenizerSpec::Merge& merge = spec.merges[rank];
    const std::uint64_t pair = pair_of(static_cast<std::uint32_t>(merge.left), static_cast<std::uint32_t>(merge.right));
    std::size_t i = slot_of(pair, shift_);
    while (slots_[i].pair != kNoPair && slots_[i].pair != pair) i = (i + 1) & (size - 1);
    slots_[i] = {pair, static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(merge.result)};
    result_of_rank_.push_back(static_cast<std::uint32_t>(merge.result));
  }
}

const Bpe::Slot* Bpe::find(std::uint32_t left, std::uint32_t right) const {
  const std::uint64_t pair = pair_of(left, right);
  for (std::size_t i = slot_of(pair, shift_);; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].pair == pair) return &slots_[i];
    if (slots_[i].pair == kNoPair) return nullptr;
  }
}

void Bpe::encode(std::string_view piece, Workspace& workspace, std::vector<int>& ids) const {
  if (piece.size() <= kShort) return encode_short(piece, ids);
  encode_long(piece, workspace, ids);
}

void Bpe::encode_short(std::string_view piece, std::vector<int>& ids) const {
  std::array<std::uint32_t, kShort + 1> token, rank;  // rank[i]: of the pair (i, i + 1)
  std::size_t n = piece.size();
  for (std::size_t i = 0; i < n; ++i) token[i] = byte_token_[static_cast<unsigned char>(piece[i])];
  for (std::size_t i = 0; i + 1 < n; ++i) rank[i] = rank_of(token[i], token[i + 1]);
  while (n > 1) {
    const auto pairs_end = rank.begin() + static_cast<std::ptrdiff_t>(n - 1);
    const auto best = std::min_element(rank.begin(), pairs_end);
    if (*best == kNoRank) break;
    const auto i = static_cast<std::size_t>(best - rank.begin());
    token[i] = result_of_rank_[*best];
    std::copy(token.begin() + static_cast<std::ptrdiff_t>(i + 2), token.begin() + static_cast<std::ptrdiff_t>(n), token.begin() + static_cast<std::ptrdiff_t>(i + 1));
    std::copy(best + 1, pairs_end, best);
    --n;
    if (i + 1 < n) rank[i] = rank_of(token[i], token[i + 1]);
    if (i > 0) rank[i - 1] = rank_of(token[i - 1], token[i]);
  }
  ids.insert(ids.end(), token.begin(), token.begin() + static_cast<std::ptrdiff_t>(n));
}

void Bpe::encode_long(std::string_view piece, Workspace& w, std::vector<int>& ids) const {
  HADAL_CHECK(piece.size() < kNoRank, "tokenizer: a piece of ", piece.size(), " bytes, want less than 4 GiB");
  const auto n = static_cast<std::uint32_t>(piece.size());
  w.token.resize(n);
  w.rank.assign(n, kNoRank);
  w.next.resize(n);
  w.previous.resize(n);
  w.heap.clear();
  for (std::uint32_t i = 0; i < n; ++i) {
    w.token[i] = byte_token_[static_cast<unsigned char>(piece[i])];
    w.next[i] = i + 1;
    w.previous[i] = i - 1;  // wraps for the first one, which nobody asks
  }
  // An entry is (rank, position of the left token). It is stale when the pair there has another rank by now.
  const auto entry = [&](std::uint32_t i) { return (std::uint64_t{w.rank[i]} << 32) | i; };
  for (std::uint32_t i = 0; i + 1 < n; ++i) {
    w.rank[i] = rank_of(w.token[i], w.token[i + 1]);
    if (w.rank[i] != kNoRank) w.heap.push_back(entry(i));
  }
  std::make_heap(w.heap.begin(), w.heap.end(), std::greater<>());
  const auto renew = [&](std::uint32_t i) {
    const std::uint32_t right = w.next[i];
    w.rank[i] = right < n ? rank_of(w.token[i], w.token[right]) : kNoRank;
    if (w.rank[i] == kNoRank) return;
    w.heap.push_back(entry(i));
    std::push_heap(w.heap.begin(), w.heap.end(), std::greater<>());
  };
  while (!w.heap.empty()) {
    std::pop_heap(w.heap.begin(), w.heap.end(), std::greater<>());
    const auto rank = static_cast<std::uint32_t>(w.heap.back() >> 32);
    const auto i = static_cast<std::uint32_t>(w.heap.back());
    w.heap.pop_back();
    if (w.rank[i] != rank) continue;
    const std::uint32_t gone = w.next[i];
    w.token[i] = result_of_rank_[rank];
    w.rank[gone] = kNoRank;
    w.next[i] = w.next[gone];
    if (w.next[i] < n) w.previous[w.next[i]] = i;
    renew(i);
    if (i > 0) renew(w.previous[i]);
  }
  for (std::uint32_t i = 0; i < n; i = w.next[i]) ids.push_back(static_cast<int>(w.token[i]));
}

}  // namespace hadal
