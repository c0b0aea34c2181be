#pragma once
// Counts the pieces of a corpus: all that tokenizer training needs to know about it.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "data/tokenizer/splitter.h"

namespace hadal {

struct WordCount {
  std::string_view bytes;  // lives as long as the counter
  std::uint64_t count = 0;
};

struct WordLimits {
  std::size_t max_words = 10'000'000;
  std::size_t batch_bytes = 16 << 20;  // text that is counted at once
};

/// Memory is bounded: about 60 bytes for each of max_words words, and as much as a batch of text can fill. When a
/// corpus has more different words, the rarest are forgotten (lossy counting): after a batch that brings the number
/// above max_words, words counted up to 1, 2, 4, ... times go until at most half of max_words are left. What is
/// forgotten depends on the documents and their order, not on threads.
class WordCounter {
 public:
  /// Pieces longer than this are counted in parts: nothing that long becomes a token, and it would slow training down.
  static constexpr std::size_t kMaxWordBytes = 1024;

  /// `splits` as TokenizerSpec has them.
  explicit WordCounter(const std::vector<std::string>& splits, const WordLimits& limits = {});
  ~WordCounter();
  WordCounter(const WordCounter&) = delete;
  WordCounter& operator=(const WordCounter&) = delete;

  /// Counts the pieces of some documents. Documents of more than a megabyte are cut behind line breaks, so that one of
  /// them keeps all threads busy.
  void add(ThreadPool& pool, std::span<const std::string_view> documents);

  /// All words with their counts, in an order that depends on the words only.
  std::vector<WordCount> words() const;
  std::uint64_t bytes_seen() const { return bytes_seen_; }
  /// Sum of the counts that were forgotten.
  std::uint64_t forgotten() const { return forgotten_; }

 private:
  class Table;
  struct Worker;

  void add_batch(ThreadPool& pool, std::span<const std::string_view> parts);
  void forget_rare(ThreadPool& pool);
  std::size_t num_words() const;

  Splitter splitter_;
  WordLimits limits_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<Table>> shards_;  // by the upper bits of a word's hash
  std::uint64_t bytes_seen_ = 0, forgotten_ = 0;
};

}  // namespace hadal
