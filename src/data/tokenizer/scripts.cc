#include "data/tokenizer/scripts.h"

#include <string>

#include "base/utf8.h"
#include "data/tokenizer/regex.h"

namespace hadal {
namespace {

struct ScriptClass {
  std::string_view name;
  const char* pattern;
};

// By Script; a character belongs to the first one whose pattern matches. "sc:", not the scripts that merely use it too.
constexpr std::array<ScriptClass, kNumScripts> kScripts = {{{"other", nullptr},
                                                            {"space", "\\s+"},
                                                            {"punctuation", "[\\p{P}\\p{S}]+"},
                                                            {"digit", "\\p{N}+"},
                                                            {"latin", "\\p{sc:Latin}+"},
                                                            {"han", "\\p{sc:Han}+"},
                                                            {"kana", "[\\p{sc:Hiragana}\\p{sc:Katakana}]+"},
                                                            {"hangul", "\\p{sc:Hangul}+"},
                                                            {"cyrillic", "\\p{sc:Cyrillic}+"},
                                                            {"greek", "\\p{sc:Greek}+"},
                                                            {"arabic", "\\p{sc:Arabic}+"},
                                                            {"hebrew", "\\p{sc:Hebrew}+"},
                                                            {"devanagari", "\\p{sc:Devanagari}+"},
                                                            {"thai", "\\p{sc:Thai}+"}}};

}  // namespace

std::string_view script_name(Script script) {
  return kScripts.at(static_cast<std::size_t>(script)).name;
}

const ScriptTable& ScriptTable::get() {
  static const ScriptTable table;
  return table;
}

ScriptTable::ScriptTable() : script_(0x20000, 0) {
  std::string text;
  std::vector<std::uint32_t> starts;
  std::vector<char32_t> code_points;
  for (char32_t c = 0; c < script_.size(); ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    starts.push_back(static_cast<std::uint32_t>(text.size()));
    code_points.push_back(c);
    append_utf8(text, c);
  }
  Regex::Workspace workspace;
  for (std::size_t script = 1; script < kNumScripts; ++script) {
    const Regex regex(kScripts[script].pattern);
    std::size_t i = 0, from = 0;
    while (const auto match = regex.find(text, from, workspace)) {
      while (starts[i] < match->first) ++i;
      for (; i < starts.size() && starts[i] < match->second; ++i)
        if (script_[code_points[i]] == 0) script_[code_points[i]] = static_cast<std::uint8_t>(script);
      from = match->second;
    }
  }
}

}  // namespace hadal
