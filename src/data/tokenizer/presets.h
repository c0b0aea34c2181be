#pragma once
// Named ways to cut text before merging, and the control tokens of DeepSeek-V3.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer_spec.h"

namespace hadal {

/// DeepSeek-V3 (also R1): digits by three from the left; runs of Chinese ideographs and Kana; then words with the one
/// character before them, punctuation with the line breaks behind it, white space. Byte for byte what llama.cpp knows
/// as "deepseek-v3", so that exported models find their pre-tokenizer there.
inline constexpr std::array<std::string_view, 3> kDeepseekV3Splits = {
    "\\p{N}{1,3}",
    "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
};

/// The splits of "deepseek-v3" or "gpt-2". Throws when the name is unknown.
std::vector<std::string> preset_splits(std::string_view preset);

/// Control tokens by the names of DeepSeek-V3; note U+FF5C and U+2581.
inline constexpr char kBosToken[] = "<\uFF5Cbegin\u2581of\u2581sentence\uFF5C>";
inline constexpr char kEosToken[] = "<\uFF5Cend\u2581of\u2581sentence\uFF5C>";
inline constexpr char kPadToken[] = "<\uFF5C\u2581pad\u2581\uFF5C>";
inline constexpr char kFimBeginToken[] = "<\uFF5Cfim\u2581begin\uFF5C>";
inline constexpr char kFimHoleToken[] = "<\uFF5Cfim\u2581hole\uFF5C>";
inline constexpr char kFimEndToken[] = "<\uFF5Cfim\u2581end\uFF5C>";

/// The added tokens at the start of the vocabulary (ids 0, 1, 2).
std::vector<AddedToken> leading_added_tokens();
/// The added tokens at its end, without ids: `num_reserved` place holders, <think> and </think> (where R1 has them),
/// then FIM, roles and tools in DeepSeek-V3's order.
std::vector<AddedToken> trailing_added_tokens(int num_reserved);

}  // namespace hadal
