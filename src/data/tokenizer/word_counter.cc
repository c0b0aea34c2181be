#include "data/tokenizer/word_counter.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace hadal {

/// A hash table of the words that one worker has seen.
struct WordCounter::Table {
  struct Entry {
    std::uint64_t hash = 0, count = 0;
    const char* bytes = nullptr;
    std::uint32_t length = 0;
  };
  static constexpr std::size_t kChunkBytes = 1 << 20;

  Regex::Workspace regex;
  std::vector<Entry> entries;
  std::vector<std::uint32_t> slots = std::vector<std::uint32_t>(1 << 12, 0);  // entry + 1; 0: free
  std::vector<std::unique_ptr<char[]>> chunks;
  std::size_t chunk_used = kChunkBytes;

  const char* keep(std::string_view word) {
    if (chunk_used + word.size() > kChunkBytes) {
      chunks.push_back(std::make_unique_for_overwrite<char[]>(kChunkBytes));
      chunk_used = 0;
    }
    char* const place = chunks.back().get() + chunk_used;
    std::memcpy(place, word.data(), word.size());
    chunk_used += word.size();
    return place;
  }

  void grow() {
    slots.assign(2 * slots.size(), 0);
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      std::size_t slot = entries[i].hash & (slots.size() - 1);
      while (slots[slot] != 0) slot = (slot + 1) & (slots.size() - 1);
      slots[slot] = i + 1;
    }
  }

  void count(std::string_view word) {
    const std::uint64_t hash = XXH3_64bits(word.data(), word.size());
    std::size_t slot = hash & (slots.size() - 1);
    for (; slots[slot] != 0; slot = (slot + 1) & (slots.size() - 1)) {
      Entry& entry = entries[slots[slot] - 1];
      if (entry.hash == hash && std::string_view(entry.bytes, entry.length) == word) {
        ++entry.count;
        return;
      }
    }
    HADAL_CHECK(entries.size() < UINT32_MAX - 1, "tokenizer training: more than 4 billion different words");
    entries.push_back({hash, 1, keep(word), static_cast<std::uint32_t>(word.size())});
    slots[slot] = static_cast<std::uint32_t>(entries.size());
    if (2 * entries.size() > slots.size()) grow();
  }
};

WordCounter::WordCounter(const std::vector<std::string>& splits) : splitter_(splits) {}
WordCounter::~WordCounter() = default;

void WordCounter::add(ThreadPool& pool, std::span<const std::string_view> documents) {
  while (tables_.size() < static_cast<std::size_t>(pool.num_threads())) tables_.push_back(std::make_unique<Table>());
  pool.parallel_for(static_cast<index_t>(documents.size()), [&](index_t task, int worker) {
    Table& table = *tables_[static_cast<std::size_t>(worker)];
    splitter_.split(documents[static_cast<std::size_t>(task)], table.regex, [&](std::string_view piece) {
      for (; piece.size() > kMaxWordBytes; piece.remove_prefix(kMaxWordBytes))
        table.count(piece.substr(0, kMaxWordBytes));
      table.count(piece);
    });
  });
  for (const std::string_view document : documents) bytes_seen_ += document.size();
}

std::vector<WordCount> WordCounter::words() const {
  std::vector<WordCount> all;
  for (const auto& table : tables_)
    for (const Table::Entry& entry : table->entries) all.push_back({{entry.bytes, entry.length}, entry.count});
  std::sort(all.begin(), all.end(), [](const WordCount& a, const WordCount& b) { return a.bytes < b.bytes; });
  std::size_t kept = 0;
  for (const WordCount& word : all) {
    if (kept > 0 && all[kept - 1].bytes == word.bytes) {
      all[kept - 1].count += word.count;
    } else {
      all[kept++] = word;
    }
  }
  all.resize(kept);
  return all;
}

}  // namespace hadal
