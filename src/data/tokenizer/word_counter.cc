#include "data/tokenizer/word_counter.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "base/utf8.h"

namespace hadal {
namespace {

constexpr std::size_t kShardBits = 6, kShards = std::size_t{1} << kShardBits;
constexpr std::size_t kPartBytes = 1 << 20;

std::size_t shard_of(std::uint64_t hash) {
  return static_cast<std::size_t>(hash >> (64 - kShardBits));
}

/// The length of the first part of a long text: behind the last line break of a megabyte, else at the end of a
/// character.
std::size_t part_length(std::string_view text) {
  if (text.size() <= kPartBytes) return text.size();
  const std::size_t newline = text.rfind('\n', kPartBytes - 1);
  if (newline != std::string_view::npos) return newline + 1;
  const std::string_view part = text.substr(0, kPartBytes);
  return part.size() - incomplete_suffix(part);
}

}  // namespace

/// A hash table of words.
class WordCounter::Table {
 public:
  struct Entry {
    std::uint64_t hash = 0, count = 0;
    const char* bytes = nullptr;
    std::uint32_t length = 0;
    std::string_view word() const { return {bytes, length}; }
  };

  void add(std::uint64_t hash, std::string_view word, std::uint64_t count) {
    std::size_t slot = hash & (slots_.size() - 1);
    for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
      Entry& entry = entries_[slots_[slot] - 1];
      if (entry.hash == hash && entry.word() == word) {
        entry.count += count;
        return;
      }
    }
    HADAL_CHECK(entries_.size() < UINT32_MAX - 1, "tokenizer training: more than 4 billion different words");
    entries_.push_back({hash, count, keep(word), static_cast<std::uint32_t>(word.size())});
    slots_[slot] = static_cast<std::uint32_t>(entries_.size());
    if (2 * entries_.size() > slots_.size()) grow();
  }
  /// Entries leave, memory stays for the next ones.
  void clear() {
    entries_.clear();
    std::fill(slots_.begin(), slots_.end(), 0);
    chunks_used_ = 0;
    chunk_used_ = kChunkBytes;
  }
  std::span<const Entry> entries() const { return entries_; }

 private:
  static constexpr std::size_t kChunkBytes = 1 << 18;

  const char* keep(std::string_view word) {
    if (chunk_used_ + word.size() > kChunkBytes) {
      if (chunks_used_ == chunks_.size()) chunks_.push_back(std::make_unique_for_overwrite<char[]>(kChunkBytes));
      ++chunks_used_;
      chunk_used_ = 0;
    }
    char* const place = chunks_[chunks_used_ - 1].get() + chunk_used_;
    std::memcpy(place, word.data(), word.size());
    chunk_used_ += word.size();
    return place;
  }
  void grow() {
    slots_.assign(2 * slots_.size(), 0);
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
      std::size_t slot = entries_[i].hash & (slots_.size() - 1);
      while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = i + 1;
    }
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1 << 10, 0);  // entry + 1; 0: free
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t chunks_used_ = 0, chunk_used_ = kChunkBytes;
};

/// What one thread has seen of the present batch.
struct WordCounter::Worker {
  Regex::Workspace regex;
  Table table;
  std::vector<std::uint32_t> order;  // of the table's entries, by shard
  std::array<std::size_t, kShards + 1> begins{};

  void count(std::string_view word) { table.add(XXH3_64bits(word.data(), word.size()), word, 1); }
  void sort_by_shard() {
    const std::span<const Table::Entry> entries = table.entries();
    begins.fill(0);
    for (const Table::Entry& entry : entries) ++begins[shard_of(entry.hash) + 1];
    std::partial_sum(begins.begin(), begins.end(), begins.begin());
    order.resize(entries.size());
    std::array<std::size_t, kShards + 1> next = begins;
    for (std::uint32_t i = 0; i < entries.size(); ++i) order[next[shard_of(entries[i].hash)]++] = i;
  }
};

WordCounter::WordCounter(const std::vector<std::string>& splits, const WordLimits& limits)
    : splitter_(splits), limits_(limits) {
  for (std::size_t i = 0; i < kShards; ++i) shards_.push_back(std::make_unique<Table>());
}
WordCounter::~WordCounter() = default;

void WordCounter::add(ThreadPool& pool, std::span<const std::string_view> documents) {
  std::vector<std::string_view> parts;
  std::size_t bytes = 0;
  const auto count_parts = [&] {
    add_batch(pool, parts);
    parts.clear();
    bytes = 0;
  };
  for (std::string_view document : documents) {
    bytes_seen_ += document.size();
    while (!document.empty()) {
      const std::size_t n = part_length(document);
      if (bytes + n > limits_.batch_bytes) count_parts();
      parts.push_back(document.substr(0, n));
      bytes += n;
      document.remove_prefix(n);
    }
  }
  count_parts();
}

void WordCounter::add_batch(ThreadPool& pool, std::span<const std::string_view> parts) {
  while (workers_.size() < static_cast<std::size_t>(pool.num_threads())) workers_.push_back(std::make_unique<Worker>());
  pool.parallel_for(static_cast<index_t>(parts.size()), [&](index_t task, int worker) {
    Worker& w = *workers_[static_cast<std::size_t>(worker)];
    splitter_.split(parts[static_cast<std::size_t>(task)], w.regex, [&](std::string_view piece) {
      for (; piece.size() > kMaxWordBytes; piece.remove_prefix(kMaxWordBytes)) w.count(piece.substr(0, kMaxWordBytes));
      w.count(piece);
    });
  });
  pool.parallel_for(static_cast<index_t>(workers_.size()),
                    [&](index_t i, int) { workers_[static_cast<std::size_t>(i)]->sort_by_shard(); });
  pool.parallel_for(static_cast<index_t>(kShards), [&](index_t task, int) {
    const auto shard = static_cast<std::size_t>(task);
    for (const auto& worker : workers_) {
      const std::span<const Table::Entry> entries = worker->table.entries();
      for (std::size_t i = worker->begins[shard]; i < worker->begins[shard + 1]; ++i) {
        const Table::Entry& entry = entries[worker->order[i]];
        shards_[shard]->add(entry.hash, entry.word(), entry.count);
      }
    }
  });
  for (const auto& worker : workers_) worker->table.clear();
  if (num_words() > limits_.max_words) forget_rare(pool);
}

std::size_t WordCounter::num_words() const {
  std::size_t n = 0;
  for (const auto& shard : shards_) n += shard->entries().size();
  return n;
}

void WordCounter::forget_rare(ThreadPool& pool) {
  // The least power of two that leaves few enough.
  std::uint64_t most = 1;
  for (;; most *= 2) {
    std::size_t left = 0;
    for (const auto& shard : shards_)
      left += static_cast<std::size_t>(std::count_if(shard->entries().begin(), shard->entries().end(),
                                                     [&](const Table::Entry& e) { return e.count > most; }));
    if (left <= limits_.max_words / 2) break;
  }
  std::vector<std::uint64_t> lost(kShards, 0);
  pool.parallel_for(static_cast<index_t>(kShards), [&](index_t task, int) {
    const auto shard = static_cast<std::size_t>(task);
    auto kept = std::make_unique<Table>();
    for (const Table::Entry& entry : shards_[shard]->entries()) {
      if (entry.count > most) {
        kept->add(entry.hash, entry.word(), entry.count);
      } else {
        lost[shard] += entry.count;
      }
    }
    shards_[shard] = std::move(kept);
  });
  forgotten_ = std::accumulate(lost.begin(), lost.end(), forgotten_);
}

std::vector<WordCount> WordCounter::words() const {
  std::vector<Table::Entry> all;
  all.reserve(num_words());
  for (const auto& shard : shards_) all.insert(all.end(), shard->entries().begin(), shard->entries().end());
  std::sort(all.begin(), all.end(), [](const Table::Entry& a, const Table::Entry& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.word() < b.word();
  });
  std::vector<WordCount> words;
  words.reserve(all.size());
  for (const Table::Entry& entry : all) words.push_back({entry.word(), entry.count});
  return words;
}

}  // namespace hadal
