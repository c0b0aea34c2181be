#pragma once
// Documents that hold text of evaluation sets: a model must not be trained on what it is measured by.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/corpus/text_scan.h"

namespace hadal {

struct DecontaminationOptions {
  std::vector<std::string> files;
  std::vector<std::string> fields = {"text", "question", "answer", "prompt", "problem", "solution"};
  int ngram = 13;
  template <class V>
  void visit(V&& v) {
    v("files", files, "evaluation sets: .jsonl and .txt files (perhaps .gz or .zst) and folders of them");
    v("fields", fields,
      "keys of the texts in JSON lines; those that a line has are taken, strings and lists of strings");
    v("ngram", ngram, "drop documents that share so many words in a row (GPT-3: 13, DeepSeek-R1: 10)");
  }
};

/// All n-grams of words of the evaluation sets. Words as in text_scan.h: case and punctuation make no difference.
class EvaluationNgrams {
 public:
  EvaluationNgrams() = default;
  /// Reads the files. Throws Error when one cannot be read or a file of JSON lines has none of the fields.
  explicit EvaluationNgrams(const DecontaminationOptions& options);

  bool empty() const { return num_ngrams_ == 0; }
  std::int64_t num_texts() const { return num_texts_; }
  std::int64_t num_short_texts() const { return num_short_texts_; }  // fewer words than an n-gram has: not looked for
  std::int64_t num_ngrams() const { return num_ngrams_; }

  struct Match {
    std::string_view file;   // of the evaluation sets
    std::string_view words;  // of the document
  };
  /// The first n-gram of the document that is in the sets.
  std::optional<Match> find(const TextScan& scan) const;

 private:
  void add_text(std::string_view text, std::uint32_t file);
  void insert(std::uint64_t hash, std::uint32_t file);
  const std::uint32_t* lookup(std::uint64_t hash) const;
  static constexpr std::uint64_t kMaybeBits = std::uint64_t{1} << 22;

  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t file = 0;
  };
  std::size_t ngram_ = 13;
  std::vector<Entry> entries_;        // open addressing, at most half full
  std::vector<std::uint64_t> maybe_;  // a bit for each hash in a set that fits a cache: almost all words end here
  std::vector<std::string> files_;
  std::int64_t num_texts_ = 0, num_short_texts_ = 0, num_ngrams_ = 0;
};

}  // namespace hadal
