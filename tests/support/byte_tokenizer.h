#pragma once
// A tokenizer whose ids can be told by eye: one for each byte, then control tokens.
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace hadal {

/// Ids 0..255 are bytes; then added tokens: <bos>, <eos> (special), <think>, </think> (as R1 has them, not special).
inline constexpr int kByteBos = 256, kByteEos = 257, kByteThink = 258, kByteThinkEnd = 259;

inline TokenizerFiles byte_tokenizer_files(bool with_think = true) {
  TokenizerFiles files;
  for (int byte = 0; byte < 256; ++byte)
    files.spec.tokens.push_back({.bytes = std::string(1, static_cast<char>(byte))});
  const auto add = [&](const std::string& content, bool special) {
    files.spec.added_tokens.push_back({.id = files.spec.vocab_size(), .content = content, .special = special});
    files.spec.tokens.push_back({.bytes = content, .literal = true});
  };
  add("<bos>", true);
  add("<eos>", true);
  if (with_think) {
    add("<think>", false);
    add("</think>", false);
  }
  files.config.bos_token = "<bos>";
  files.config.eos_token = "<eos>";
  return files;
}

}  // namespace hadal
