#pragma once
// The script that a character belongs to, for statistics.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hadal {

enum class Script : std::uint8_t {
  kOther,  // scripts that are not listed, and marks that belong to several
  kSpace,
  kPunctuation,  // punctuation and symbols, emoji too
  kDigit,
  kLatin,
  kHan,
  kKana,
  kHangul,
  kCyrillic,
  kGreek,
  kArabic,
  kHebrew,
  kDevanagari,
  kThai,
  kNumScripts
};
inline constexpr std::size_t kNumScripts = static_cast<std::size_t>(Script::kNumScripts);

/// "latin", "han" ...
std::string_view script_name(Script script);

/// Scripts of all characters; made with PCRE2 at first use.
class ScriptTable {
 public:
  static const ScriptTable& get();
  /// c <= U+10FFFF.
  Script of(char32_t c) const {
    return c < script_.size() ? static_cast<Script>(script_[c]) : c < 0x40000 ? Script::kHan : Script::kOther;
  }

 private:
  ScriptTable();
  std::vector<std::uint8_t> script_;  // of the first two planes; the third and fourth are ideographs
};

}  // namespace hadal
