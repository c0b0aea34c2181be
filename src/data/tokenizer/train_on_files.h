#pragma once
// A tokenizer from files of text.
#include <string>
#include <vector>

#include "data/corpus/text_reader.h"
#include "data/tokenizer/bpe_trainer.h"

namespace hadal {

struct TokenizerTrainJob {
  std::vector<std::string> inputs;  // as read_documents takes them
  TextReadOptions read;
  TokenizerTrainOptions train;
};

struct TokenizerTrainReport {
  TokenizerTrainResult result;
  TextReadCounts read;
  std::int64_t words = 0;      // different ones
  std::int64_t forgotten = 0;  // occurrences of words that were too rare to be kept (WordCounter)
};

/// Reads, counts and trains, with progress on stderr. Needs no more memory than WordCounter says, for the words, and as
/// much again for training. Throws Error when the inputs hold no text.
TokenizerTrainReport train_tokenizer_on_files(ThreadPool& pool, const TokenizerTrainJob& job);

}  // namespace hadal
