#pragma once
// A set of words with 32 bits for each, looked up by the hash that text_scan gives to words.
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/corpus/text_scan.h"

namespace hadal {

/// Open addressing over a power of two of places, at most half of which may be used.
class WordTable {
 public:
  explicit WordTable(std::size_t places) : entries_(places) {}
  /// The bits of a word, added with 0 when it is new. hash is not 0.
  std::uint32_t& operator[](std::uint64_t hash) {
    std::size_t i = start(hash);
    while (entries_[i].hash != 0 && entries_[i].hash != hash) i = (i + 1) & (entries_.size() - 1);
    entries_[i].hash = hash;
    return entries_[i].bits;
  }
  /// 0 for a word that is not there.
  std::uint32_t find(std::uint64_t hash) const {
    std::size_t i = start(hash);
    while (entries_[i].hash != 0 && entries_[i].hash != hash) i = (i + 1) & (entries_.size() - 1);
    return entries_[i].hash == hash ? entries_[i].bits : 0;
  }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t bits = 0;
  };
  std::size_t start(std::uint64_t hash) const { return (hash >> 17) & (entries_.size() - 1); }
  std::vector<Entry> entries_;
};

/// Calls take(hash) for each word of a list.
template <class Take>
void for_each_word(std::string_view list, Take&& take) {
  TextScan scan;
  scan_text(list, scan);
  for (const Word& word : scan.words)
    if (word.hash != 0) take(word.hash);
}

}  // namespace hadal
