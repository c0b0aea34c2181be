#pragma once
// The regexes by which known models cut text before merging, by the names that GGUF files have for them.
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace hadal {

/// The regex of GPT-2, which the ByteLevel pre-tokenizer applies when it is told to (use_regex).
inline constexpr char kGpt2Split[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// DeepSeek-V3 (also R1): digits by three from the left; runs of Chinese ideographs and Kana; then words with the one
/// character before them, punctuation with the line breaks behind it, white space. Byte for byte what llama.cpp knows
/// as "deepseek-v3", so that exported models find their pre-tokenizer there.
inline constexpr std::array<std::string_view, 3> kDeepseekV3Splits = {
    "\\p{N}{1,3}",
    "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
};

/// What a name stands for.
struct PreTokenizer {
  std::string_view name;
  std::vector<std::string> splits;  // as TokenizerSpec has them
  bool normalize_nfc = false, ignore_merges = false;
};

/// All of them: deepseek-v3, deepseek-llm, deepseek-coder, deepseek-r1-qwen, qwen2, llama-bpe, gpt-2.
const std::vector<PreTokenizer>& pre_tokenizers();
/// Throws Error for an unknown name; `where` starts the message.
const PreTokenizer& pre_tokenizer(std::string_view name, std::string_view where);

}  // namespace hadal
