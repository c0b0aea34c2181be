#include "data/tokenizer/presets.h"

#include "base/error.h"

namespace hadal {

namespace {

constexpr std::string_view kRegex = "regex:";

}  // namespace

std::vector<std::string> preset_splits(std::string_view preset) {
  if (preset.starts_with(kRegex)) return {std::string(preset.substr(kRegex.size()))};
  return pre_tokenizer(preset, "tokenizer preset").splits;
}

void apply_preset(std::string_view preset, TokenizerSpec& spec) {
  spec.splits = preset_splits(preset);
  if (preset.starts_with(kRegex)) return;
  const PreTokenizer& pre = pre_tokenizer(preset, "tokenizer preset");
  spec.normalize_nfc = pre.normalize_nfc;
  spec.ignore_merges = pre.ignore_merges;
}

std::vector<AddedToken> leading_added_tokens() {
  std::vector<AddedToken> tokens;
  for (const char* content : {kBosToken, kEosToken, kPadToken})
    tokens.push_back({.id = static_cast<int>(tokens.size()), .content = content, .special = true});
  return tokens;
}

std::vector<AddedToken> trailing_added_tokens(int num_reserved) {
  std::vector<AddedToken> tokens;
  for (int i = 0; i < num_reserved; ++i)
    tokens.push_back({.content = str_cat("<\uFF5Cplace\u2581holder\u2581no\u2581", i, "\uFF5C>"), .special = true});
  // These are printed when an answer is decoded, so they are not "special".
  tokens.push_back({.content = "<think>"});
  tokens.push_back({.content = "</think>"});
  for (const char* content :
       {kFimHoleToken, kFimBeginToken, kFimEndToken, "<\uFF5CUser\uFF5C>", "<\uFF5CAssistant\uFF5C>"})
    tokens.push_back({.content = content, .normalized = true});
  tokens.push_back({.content = "<|EOT|>", .special = true, .normalized = true});
  for (const char* content : {"<\uFF5Ctool\u2581calls\u2581begin\uFF5C>", "<\uFF5Ctool\u2581calls\u2581end\uFF5C>",
                              "<\uFF5Ctool\u2581call\u2581begin\uFF5C>", "<\uFF5Ctool\u2581call\u2581end\uFF5C>",
                              "<\uFF5Ctool\u2581outputs\u2581begin\uFF5C>", "<\uFF5Ctool\u2581outputs\u2581end\uFF5C>",
                              "<\uFF5Ctool\u2581output\u2581begin\uFF5C>", "<\uFF5Ctool\u2581output\u2581end\uFF5C>",
                              "<\uFF5Ctool\u2581sep\uFF5C>"})
    tokens.push_back({.content = content, .normalized = true});
  return tokens;
}

}  // namespace hadal
