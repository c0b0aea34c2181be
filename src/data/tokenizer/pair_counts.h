#pragma once
// The adjacent pairs of all words during training: how often each occurs and in which words.
#include <cstdint>
#include <vector>

namespace hadal {

/// Two token ids side by side. Orders as (left, right).
constexpr std::uint64_t token_pair(std::uint32_t left, std::uint32_t right) {
  return (std::uint64_t{left} << 32) | right;
}

class PairCounts {
 public:
  struct Entry {
    std::uint64_t pair = 0;
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  // where it was seen; may name a word that lost it since
  };

  PairCounts() : slots_(1 << 12, 0) {}

  /// The entry of a pair, made when missing. The index stays valid, references do not.
  std::uint32_t index_of(std::uint64_t pair) {
    std::size_t slot = home(pair);
    for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1))
      if (entries_[slots_[slot] - 1].pair == pair) return slots_[slot] - 1;
    entries_.push_back({.pair = pair});
    slots_[slot] = static_cast<std::uint32_t>(entries_.size());
    const auto index = static_cast<std::uint32_t>(entries_.size() - 1);
    if (2 * entries_.size() > slots_.size()) grow();
    return index;
  }
  Entry& operator[](std::uint32_t index) { return entries_[index]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()); }

 private:
  std::size_t home(std::uint64_t pair) const {
    const std::uint64_t x = (pair ^ (pair >> 29)) * 0x9E3779B97F4A7C15ULL;
    return static_cast<std::size_t>(x ^ (x >> 32)) & (slots_.size() - 1);
  }
  void grow() {
    slots_.assign(2 * slots_.size(), 0);
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
      std::size_t slot = home(entries_[i].pair);
      while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = i + 1;
    }
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  // entry + 1; 0: free
};

}  // namespace hadal
