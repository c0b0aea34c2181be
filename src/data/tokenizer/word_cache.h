#pragma once
// Remembers the ids of short pieces. Text repeats its words so much that most pieces never reach the merge loop.
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace hadal {

/// A fixed-size cache, one per thread. It never changes a result, only when it is computed.
class WordCache {
 public:
  static constexpr std::size_t kMaxBytes = 15, kMaxIds = 3;

  /// What a piece looks like in the cache. `readable_end`: bytes before it may be read, even behind the piece.
  struct Key {
    std::uint64_t low = 0, high = 0;  // the bytes, zero padded; the last byte of `high` is the length, which is never 0
  };
  static Key key_of(std::string_view piece, const char* readable_end) {
    std::array<std::uint64_t, 2> words{};
    const std::size_t n = piece.size();
    if (readable_end - piece.data() >= 16) {
      std::memcpy(words.data(), piece.data(), 16);
      if (n < 8) {
        words[0] &= (std::uint64_t{1} << (8 * n)) - 1;
        words[1] = 0;
      } else {
        words[1] &= (std::uint64_t{1} << (8 * (n - 8))) - 1;
      }
    } else {
      std::memcpy(words.data(), piece.data(), n);
    }
    return {words[0], words[1] | (std::uint64_t{n} << 56)};
  }

  struct Entry {
    Key key;
    std::array<std::uint32_t, kMaxIds> ids{};
    std::uint32_t num_ids = 0;
  };

  WordCache() : entries_(kSets * kWays) {}

  /// The entry of a piece, or nullptr.
  const Entry* find(const Key& key) const {
    const Entry* set = &entries_[set_of(key)];
    for (std::size_t way = 0; way < kWays; ++way)
      if (set[way].key.low == key.low && set[way].key.high == key.high) return &set[way];
    return nullptr;
  }
  /// `ids` holds at most kMaxIds. The set's oldest entry goes.
  template <class Ids>
  void insert(const Key& key, const Ids& ids) {
    Entry* set = &entries_[set_of(key)];
    for (std::size_t way = kWays - 1; way > 0; --way) set[way] = set[way - 1];
    set[0] = {.key = key, .num_ids = static_cast<std::uint32_t>(ids.size())};
    for (std::size_t i = 0; i < ids.size(); ++i) set[0].ids[i] = static_cast<std::uint32_t>(ids[i]);
  }

 private:
  static constexpr std::size_t kSetBits = 14, kSets = std::size_t{1} << kSetBits, kWays = 2;  // 1 MiB: fits a core's L2

  static std::size_t set_of(const Key& key) {
    const std::uint64_t x = (key.low * 0x9E3779B97F4A7C15ULL) ^ (key.high * 0xD6E8FEB86659FD93ULL);
    return kWays * static_cast<std::size_t>(((x ^ (x >> 32)) * 0x9E3779B97F4A7C15ULL) >> (64 - kSetBits));
  }

  std::vector<Entry> entries_;
};

}  // namespace hadal
