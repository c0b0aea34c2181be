#pragma once
// Byte-level BPE training: the most frequent pair of neighbours becomes a token, again and again.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/tokenizer/word_counter.h"
#include "formats/tokenizer_files.h"

namespace hadal {

struct TokenizerTrainOptions {
  int vocab_size = 4096;
  std::string preset = "deepseek-v3";
  std::vector<std::string> special;
  int num_reserved = 100;
  bool digit_merges = true;
  std::int64_t min_count = 2;
  int max_token_bytes = 48;

  template <class V>
  void visit(V&& v) {
    v("vocab_size", vocab_size, "ids in all: control tokens, 256 bytes, merges, reserved");
    v("preset", preset,
      "how text is cut before merging: deepseek-v3|deepseek-llm|deepseek-coder|qwen2|deepseek-r1-qwen|llama-bpe|gpt-2, "
      "or regex:PATTERN");
    v("special", special, "control tokens besides DeepSeek-V3's");
    v("num_reserved", num_reserved, "ids kept free for later control tokens");
    v("digit_merges", digit_merges, "let numbers of two and three digits be tokens");
    v("min_count", min_count, "pairs seen less often are not merged");
    v("max_token_bytes", max_token_bytes, "longest token; 0: no limit");
  }
};

struct TokenizerTrainResult {
  TokenizerFiles files;
  int num_merges = 0;
  int num_unused = 0;  // ids that the corpus was too small to fill; they are reserved as well
};

/// Throws Error when the options cannot be met: an unknown preset, a vocabulary without room, special tokens that are
/// empty or there twice.
void check_train_options(const TokenizerTrainOptions& options);

/// Trains on counted words, whose counter must have been made with preset_splits(options.preset). Equal counts go to
/// the pair with the smaller ids, so the result is a function of the words. `progress(done, wanted)` is called now and
/// then. Layout: begin, end and pad (0, 1, 2), the 256 bytes in the order of their byte-level characters, merges, the
/// special tokens of the options, then the rest of DeepSeek-V3's control tokens. Throws as check_train_options.
TokenizerTrainResult train_tokenizer(std::span<const WordCount> words, const TokenizerTrainOptions& options,
                                     const std::function<void(int done, int wanted)>& progress = {});

}  // namespace hadal
