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

class WordCounter {
 public:
  /// Pieces longer than this are counted in parts: nothing that long becomes a token, and it would slow training down.
  static constexpr std::size_t kMaxWordBytes = 1024;

  /// `splits` as TokenizerSpec has them.
  explicit WordCounter(const std::vector<std::string>& splits);
  ~WordCounter();
  WordCounter(const WordCounter&) = delete;
  WordCounter& operator=(const WordCounter&) = delete;

  /// Counts the pieces of some documents.
  void add(ThreadPool& pool, std::span<const std::string_view> documents);

  /// All words with their counts, in byte order: the result depends on the documents only.
  std::vector<WordCount> words() const;
  std::uint64_t bytes_seen() const { return bytes_seen_; }

 private:
  struct Table;

  Splitter splitter_;
  std::vector<std::unique_ptr<Table>> tables_;  // by worker
  std::uint64_t bytes_seen_ = 0;
};

}  // namespace hadal
