#include "data/tokenizer/bpe.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/utf8.h"

namespace hadal {
namespace {

// Up to here, looking at all pairs for the smallest rank beats a heap. A place takes six bits beside a rank.
constexpr std::size_t kFew = 64;
constexpr std::int32_t kNoPair = static_cast<std::int32_t>((MergeTable::kNoRank << 6) | 63);

constexpr std::uint32_t kNoToken = CharacterTokens::kNone;

bool used_by_utf8(std::size_t byte) {
  return byte < 0xC0 || (byte >= 0xC2 && byte < 0xF5);
}

std::array<std::uint32_t, 256> byte_tokens(const TokenizerSpec& spec) {
  std::array<std::uint32_t, 256> tokens;
  tokens.fill(kNoToken);
  for (int id = 0; id < spec.vocab_size(); ++id) {
    const TokenizerSpec::Token& token = spec.tokens[static_cast<std::size_t>(id)];
    if (!token.literal && token.bytes.size() == 1)
      tokens[static_cast<unsigned char>(token.bytes[0])] = static_cast<std::uint32_t>(id);
  }
  for (std::size_t byte = 0; byte < tokens.size(); ++byte)
    HADAL_CHECK(tokens[byte] != kNoToken || !used_by_utf8(byte), "tokenizer: byte ", byte,
                " has no token, want all that UTF-8 uses");
  return tokens;
}

}  // namespace

Bpe::Bpe(const TokenizerSpec& spec)
    : byte_token_(byte_tokens(spec)),
      all_bytes_(std::find(byte_token_.begin(), byte_token_.end(), kNoToken) == byte_token_.end()),
      merges_(spec),
      characters_(spec, merges_, byte_token_) {}

void Bpe::encode(std::string_view piece, Workspace& workspace, std::vector<int>& ids) const {
  HADAL_CHECK(piece.size() < (std::size_t{1} << 32), "tokenizer: a piece of ", piece.size(),
              " bytes, want less than 4 GiB");
  if (all_bytes_ || piece.empty() || decode_utf8(piece.data(), piece.data() + piece.size()).length > 0)
    return merge(piece, workspace, ids);
  std::string readable;
  for (const char c : piece) {
    if (byte_token_[static_cast<unsigned char>(c)] == kNoToken) {
      readable += "\uFFFD";
    } else {
      readable += c;
    }
  }
  merge(readable, workspace, ids);
}

void Bpe::merge(std::string_view piece, Workspace& workspace, std::vector<int>& ids) const {
  if (workspace.token.size() < piece.size()) workspace.token.resize(std::max<std::size_t>(piece.size(), 256));
  const std::size_t n = start(piece, workspace.token);
  if (n <= kFew) return merge_few(workspace.token.data(), n, ids);
  merge_many(workspace, n, ids);
}

/// The tokens that merging starts from; returns their number.
std::size_t Bpe::start(std::string_view piece, std::vector<std::uint32_t>& tokens) const {
  const char *p = piece.data(), *const end = p + piece.size();
  std::size_t n = 0;
  while (p < end) {
    const auto byte = static_cast<unsigned char>(*p);
    if (byte >= 0xC2 && byte < 0xF0) {
      const CodePoint c = decode_utf8(p, end);
      const std::uint32_t token = c.length > 0 ? characters_.of(c.value) : CharacterTokens::kNone;
      if (token != CharacterTokens::kNone) {
        tokens[n++] = token;
        p += c.length;
        continue;
      }
    }
    tokens[n++] = byte_token_[byte];
    ++p;
  }
  return n;
}

void Bpe::merge_few(std::uint32_t* token, std::size_t n, std::vector<int>& ids) const {
  std::array<std::int32_t, kFew> pair;  // rank and place of the pair that starts at a place
  std::array<std::uint8_t, kFew + 1> next, previous;
  const auto pair_at = [&](std::size_t left, std::size_t right) {
    return static_cast<std::int32_t>((merges_.rank(token[left], token[right]) << 6) | left);
  };
  for (std::size_t i = 0; i < n; ++i) {
    next[i] = static_cast<std::uint8_t>(i + 1);
    previous[i] = static_cast<std::uint8_t>(i - 1);
    pair[i] = i + 1 < n ? pair_at(i, i + 1) : kNoPair;
  }
  for (;;) {
    std::int32_t best = kNoPair;
    for (std::size_t i = 0; i < n; ++i) best = std::min(best, pair[i]);
    const std::uint32_t rank = static_cast<std::uint32_t>(best) >> 6;
    if (rank == MergeTable::kNoRank) break;
    const auto i = static_cast<std::size_t>(best & 63);
    const std::size_t gone = next[i], right = next[gone];
    token[i] = merges_.result(rank);
    pair[gone] = kNoPair;
    next[i] = static_cast<std::uint8_t>(right);
    previous[right] = static_cast<std::uint8_t>(i);
    pair[i] = right < n ? pair_at(i, right) : kNoPair;
    if (i > 0) pair[previous[i]] = pair_at(previous[i], i);
  }
  for (std::size_t i = 0; i < n; i = next[i]) ids.push_back(static_cast<int>(token[i]));
}

void Bpe::merge_many(Workspace& w, std::size_t num_tokens, std::vector<int>& ids) const {
  constexpr std::uint32_t kNoRank = MergeTable::kNoRank;
  const auto n = static_cast<std::uint32_t>(num_tokens);
  w.rank.assign(n, kNoRank);
  w.next.resize(n);
  w.previous.resize(n);
  w.heap.clear();
  // An entry is (rank, place of the left token). It is stale when the pair there has another rank by now.
  const auto entry = [&](std::uint32_t i) { return (std::uint64_t{w.rank[i]} << 32) | i; };
  for (std::uint32_t i = 0; i < n; ++i) {
    w.next[i] = i + 1;
    w.previous[i] = i - 1;  // wraps for the first one, which nobody asks
    if (i + 1 < n) w.rank[i] = merges_.rank(w.token[i], w.token[i + 1]);
    if (w.rank[i] != kNoRank) w.heap.push_back(entry(i));
  }
  std::make_heap(w.heap.begin(), w.heap.end(), std::greater<>());
  const auto renew = [&](std::uint32_t i) {
    const std::uint32_t right = w.next[i];
    w.rank[i] = right < n ? merges_.rank(w.token[i], w.token[right]) : kNoRank;
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
    w.token[i] = merges_.result(rank);
    w.rank[gone] = kNoRank;
    w.next[i] = w.next[gone];
    if (w.next[i] < n) w.previous[w.next[i]] = i;
    renew(i);
    if (i > 0) renew(w.previous[i]);
  }
  for (std::uint32_t i = 0; i < n; i = w.next[i]) ids.push_back(static_cast<int>(w.token[i]));
}

}  // namespace hadal
