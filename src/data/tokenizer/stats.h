#pragma once
// What a tokenizer makes of a text, and of how much use its vocabulary is.
#include <string>
#include <vector>

#include "base/json.h"
#include "data/corpus/text_reader.h"
#include "data/tokenizer/tokenizer.h"

namespace hadal {

struct TokenizerStatsOptions {
  std::vector<std::string> inputs;  // as read_documents takes them; each is counted on its own too
  TextReadOptions read;
  int top = 20;  // entries of lists
};

/// Encodes all documents of the inputs, with all threads, in bounded memory. Returns
///   vocabulary      {size, tokens, added, merges, longest [{id, text, bytes}]}
///   inputs          [{input, documents, bytes, characters, tokens, bytes_per_token, characters_per_token}]
///   total           the same over all inputs, and unused {count, ids: the first}, most_used [{id, text, count}]
///   scripts         {latin: {bytes, tokens, bytes_per_token}, ...}: a token belongs to the script of its first letter,
///                   a part of a character to that of the character; without a letter to digit, punctuation or space
/// and, when `other` is given, of it too: other_tokens, other_bytes_per_token in inputs, total and scripts,
/// tokens_ratio (tokens / other_tokens), and in vocabulary shared (tokens of equal bytes).
JsonObject tokenizer_stats(ThreadPool& pool, const Tokenizer& tokenizer, const Tokenizer* other,
                           const TokenizerStatsOptions& options);

/// The same for people, on many lines.
std::string tokenizer_stats_text(const JsonObject& stats);

}  // namespace hadal
