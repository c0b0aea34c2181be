#pragma once
// Counts of hashes: a table that keeps its memory from one document to the next.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace hadal {

class HashCounter {
 public:
  /// Empties it and makes room for n different hashes.
  void reset(std::size_t n) {
    const std::size_t places = std::bit_ceil(std::max<std::size_t>(2 * n, 64));
    if (entries_.size() < places) entries_.resize(places);
    mask_ = places - 1;
    std::fill_n(entries_.begin(), places, Entry{});
  }
  /// Adds one; returns how often the hash was there before. Hashes are told apart by 32 bits beside their place: among
  /// the thousands of a document, mistakes are one in a million documents.
  std::uint32_t add(std::uint64_t hash) {
    hash ^= hash >> 29;
    hash *= 0xBF58476D1CE4E5B9ULL;
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    std::size_t i = hash & mask_;
    while (entries_[i].count != 0 && entries_[i].tag != tag) i = (i + 1) & mask_;
    entries_[i].tag = tag;
    return entries_[i].count++;
  }

 private:
  struct Entry {
    std::uint32_t tag = 0, count = 0;
  };
  std::vector<Entry> entries_;
  std::size_t mask_ = 0;
};

}  // namespace hadal
