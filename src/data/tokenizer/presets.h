#pragma once
// Named ways to cut text before merging, and the control tokens of DeepSeek-V3.
#include <string>
#include <string_view>
#include <vector>

#include "formats/pre_tokenizers.h"
#include "formats/tokenizer_spec.h"

namespace hadal {

/// The splits of a name of formats/pre_tokenizers.h, or of "regex:PATTERN". Throws when the name is unknown.
std::vector<std::string> preset_splits(std::string_view preset);
/// Gives a new tokenizer the splits and whatever else the preset says about text: with "qwen2" it is brought to NFC
/// first, as by Qwen2's own tokenizer.
void apply_preset(std::string_view preset, TokenizerSpec& spec);

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
