#pragma once
// One walk over a text gives what language identification, filters and fingerprints ask: words, lines, scripts.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hadal {

enum class Script : std::uint8_t {
  kLatin,
  kCyrillic,
  kGreek,
  kHan,
  kKana,
  kHangul,
  kArabic,
  kHebrew,
  kDevanagari,
  kThai,
  kOther
};
inline constexpr std::size_t kNumScripts = 11;

/// The script of a letter; kOther for letters of other scripts. Not for ASCII.
Script script_of(char32_t c);

/// A stretch without white space, or one ideograph or kana character.
struct Word {
  std::uint64_t hash = 0;  // of its letters and digits, ASCII in lower case; 0: it has none
  std::uint32_t begin = 0;
  std::uint32_t length : 30 = 0;  // bytes
  std::uint32_t has_letter : 1 = 0;
  std::uint32_t is_ideograph : 1 = 0;
  std::uint32_t end() const { return begin + length; }
};

struct Line {
  std::uint32_t begin = 0, end = 0;               // bytes, without the line break
  std::uint32_t first_word = 0, behind_word = 0;  // its words
};

struct TextScan {
  std::string_view text;
  std::vector<Word> words;
  std::vector<Line> lines;                          // those that are not empty
  std::array<std::int64_t, kNumScripts> letters{};  // by script
  std::int64_t characters = 0, white_space = 0, digits = 0, punctuation = 0;
  std::int64_t line_breaks = 0;
  std::int64_t num_letters() const;
  std::int64_t of(Script script) const { return letters[static_cast<std::size_t>(script)]; }
};

/// Scans well-formed text of less than 2^30 bytes. `scan` is filled anew; its memory is used again.
void scan_text(std::string_view text, TextScan& scan);

/// What scan_text gives to a word of these bytes.
std::uint64_t word_hash(std::string_view word);

/// Hash of a line or a paragraph, white space at its ends left out; 0 when it is blank.
std::uint64_t line_hash(std::string_view line);

/// Calls take(line) for each line of a text, empty ones and a last one without a line break too.
template <class Take>
void for_each_line(std::string_view text, Take&& take) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    take(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

/// Words that have letters or digits, by their hashes, in order: what n-grams are made of.
void word_hashes(const TextScan& scan, std::vector<std::uint64_t>& hashes);

}  // namespace hadal
