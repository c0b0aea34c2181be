#include "data/corpus/text_scan.h"

#include <xxhash.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace hadal {
namespace {

enum Class : std::uint8_t { kSpace, kLetter, kDigit, kPunctuation, kWide };

constexpr std::array<std::uint8_t, 256> class_table() {
  std::array<std::uint8_t, 256> table{};
  for (int b = 0; b < 256; ++b) {
    const bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
    const bool digit = b >= '0' && b <= '9';
    table[static_cast<std::size_t>(b)] = b >= 0x80               ? kWide
                                         : letter                ? kLetter
                                         : digit                 ? kDigit
                                         : b > 0x20 && b != 0x7F ? kPunctuation
                                                                 : kSpace;
  }
  return table;
}
constexpr std::array<std::uint8_t, 256> kClass = class_table();

constexpr std::uint64_t kHashStart = 0x9E3779B97F4A7C15ULL;

std::uint64_t hash_step(std::uint64_t h, std::uint64_t c) {
  h = (h ^ c) * 0xFF51AFD7ED558CCDULL;
  return h ^ (h >> 32);
}

bool is_wide_space(char32_t c) {
  return c == 0xA0 || c == 0x3000 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F;
}

bool is_wide_punctuation(char32_t c) {
  return (c >= 0x80 && c <= 0xBF && c != 0xAA && c != 0xB5 && c != 0xBA) || c == 0xD7 || c == 0xF7 ||
         (c >= 0x2000 && c <= 0x206F) || (c >= 0x20A0 && c <= 0x20CF) || (c >= 0x2100 && c <= 0x2BFF) ||
         (c >= 0x3001 && c <= 0x303F && c != 0x3005 && c != 0x3007) || (c >= 0xFE10 && c <= 0xFE6F) ||
         (c >= 0xFF01 && c <= 0xFF0F) || (c >= 0xFF1A && c <= 0xFF20) || (c >= 0xFF3B && c <= 0xFF40) ||
         (c >= 0xFF5B && c <= 0xFF65) || c == 0xFFFD || c == 0x60C || c == 0x61B || c == 0x61F || c == 0x6D4 ||
         c == 0x964 || c == 0x965 || (c >= 0x1F000 && c <= 0x1FAFF);
}

/// Punctuation that stands between words of languages without spaces; other punctuation belongs to its word.
bool separates_words(char32_t c) {
  return (c >= 0x3001 && c <= 0x303F) || (c >= 0xFF01 && c <= 0xFF65);
}

/// The words of a scan, as they are found.
class Words {
 public:
  explicit Words(TextScan& scan) : scan_(scan) {}

  void begin_at(std::size_t place) {
    if (open_) return;
    open_ = true;
    begin_ = static_cast<std::uint32_t>(place);
    hash_ = kHashStart;
    has_text_ = has_letter_ = false;
  }
  void add(std::uint64_t c, bool letter) {
    hash_ = hash_step(hash_, c);
    has_text_ = true;
    has_letter_ |= letter;
  }
  void end_at(std::size_t place) {
    if (!open_) return;
    open_ = false;
    push(begin_, place, has_text_ ? hash_ | 1 : 0, has_letter_, false);
  }
  void ideograph(std::size_t begin, std::size_t end, char32_t c) {
    end_at(begin);
    push(static_cast<std::uint32_t>(begin), end, hash_step(kHashStart, c) | 1, true, true);
  }

 private:
  void push(std::uint32_t begin, std::size_t end, std::uint64_t hash, bool letter, bool ideograph) {
    Word word;
    word.hash = hash;
    word.begin = begin;
    word.length = static_cast<std::uint32_t>(end - begin) & 0x3FFFFFFF;
    word.has_letter = letter ? 1 : 0;
    word.is_ideograph = ideograph ? 1 : 0;
    scan_.words.push_back(word);
  }

  TextScan& scan_;
  std::uint64_t hash_ = 0;
  std::uint32_t begin_ = 0;
  bool open_ = false, has_text_ = false, has_letter_ = false;
};

/// A character that is not ASCII.
void add_wide(TextScan& scan, Words& words, const CodePoint& c, std::size_t at) {
  const std::size_t behind = at + static_cast<std::size_t>(c.length);
  if (is_wide_space(c.value)) {
    words.end_at(at);
    ++scan.white_space;
  } else if (is_wide_punctuation(c.value)) {
    ++scan.punctuation;
    separates_words(c.value) ? words.end_at(at) : words.begin_at(at);
  } else {
    const Script script = script_of(c.value);
    ++scan.letters[static_cast<std::size_t>(script)];
    if (script == Script::kHan || script == Script::kKana) {
      words.ideograph(at, behind, c.value);
    } else {
      words.begin_at(at);
      words.add(c.value, true);
    }
  }
}

void clear(TextScan& scan, std::string_view text) {
  std::vector<Word> words = std::move(scan.words);
  std::vector<Line> lines = std::move(scan.lines);
  words.clear();
  lines.clear();
  scan = {};
  scan.text = text;
  scan.words = std::move(words);
  scan.lines = std::move(lines);
}

}  // namespace

Script script_of(char32_t c) {
  if (c < 0x370) return Script::kLatin;  // combining marks go with the letters that they are mostly used with
  if (c < 0x400) return Script::kGreek;
  if (c < 0x530) return Script::kCyrillic;
  if (c >= 0x590 && c < 0x600) return Script::kHebrew;
  if ((c >= 0x600 && c < 0x780) || (c >= 0xFB50 && c < 0xFE00) || (c >= 0xFE70 && c < 0xFEFF)) return Script::kArabic;
  if (c >= 0x900 && c < 0x980) return Script::kDevanagari;
  if (c >= 0xE00 && c < 0xE80) return Script::kThai;
  if (c >= 0x1E00 && c < 0x1F00) return Script::kLatin;
  if (c >= 0x1F00 && c < 0x2000) return Script::kGreek;
  if (c >= 0x3040 && c < 0x3100) return Script::kKana;
  if ((c >= 0xAC00 && c < 0xD7B0) || (c >= 0x1100 && c < 0x1200) || (c >= 0x3130 && c < 0x3190)) return Script::kHangul;
  if ((c >= 0x3400 && c < 0x4DC0) || (c >= 0x4E00 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) || c == 0x3005 ||
      c == 0x3007 || (c >= 0x20000 && c < 0x32000))
    return Script::kHan;
  if ((c >= 0xFF21 && c < 0xFF5B)) return Script::kLatin;
  if (c >= 0xFF66 && c < 0xFFA0) return Script::kKana;
  return Script::kOther;
}

std::int64_t TextScan::num_letters() const {
  return std::accumulate(letters.begin(), letters.end(), std::int64_t{0});
}

void scan_text(std::string_view text, TextScan& scan) {
  HADAL_CHECK(text.size() < (std::size_t{1} << 30), "a text of ", text.size(), " bytes, want less than 2^30");
  clear(scan, text);
  Words words(scan);
  std::int64_t latin = 0;
  Line line;
  const auto end_line = [&](std::size_t at) {
    words.end_at(at);
    line.end = static_cast<std::uint32_t>(at);
    line.behind_word = static_cast<std::uint32_t>(scan.words.size());
    if (line.behind_word > line.first_word) scan.lines.push_back(line);
    line = {.begin = static_cast<std::uint32_t>(at + 1), .first_word = line.behind_word};
  };
  const char* const data = text.data();
  const std::size_t size = text.size();
  for (std::size_t i = 0; i < size; ++i, ++scan.characters) {
    const auto b = static_cast<unsigned char>(data[i]);
    switch (kClass[b]) {
      case kLetter: {
        words.begin_at(i);
        // Most of a text: the rest of the word at once.
        std::size_t j = i;
        do words.add(static_cast<unsigned char>(data[j]) | 0x20U, true);
        while (++j < size && kClass[static_cast<unsigned char>(data[j])] == kLetter);
        latin += static_cast<std::int64_t>(j - i);
        scan.characters += static_cast<std::int64_t>(j - i) - 1;
        i = j - 1;
        break;
      }
      case kDigit:
        words.begin_at(i);
        words.add(b, false);
        ++scan.digits;
        break;
      case kPunctuation:
        words.begin_at(i);
        ++scan.punctuation;
        break;
      case kSpace:
        ++scan.white_space;
        if (b == '\n') {
          ++scan.line_breaks;
          end_line(i);
        } else {
          words.end_at(i);
        }
        break;
      default: {
        const CodePoint c = decode_utf8(data + i, data + size);
        if (c.length == 0) break;  // not well-formed after all
        add_wide(scan, words, c, i);
        i += static_cast<std::size_t>(c.length) - 1;
      }
    }
  }
  end_line(size);
  scan.letters[static_cast<std::size_t>(Script::kLatin)] += latin;
}

std::uint64_t word_hash(std::string_view word) {
  std::uint64_t hash = kHashStart;
  bool has_text = false;
  for (std::size_t i = 0; i < word.size();) {
    const CodePoint c = decode_utf8(word.data() + i, word.data() + word.size());
    const std::uint8_t kind = c.length == 1 ? kClass[c.value] : static_cast<std::uint8_t>(kWide);
    if (kind == kLetter || kind == kDigit || (kind == kWide && c.length > 0 && !is_wide_punctuation(c.value))) {
      hash = hash_step(hash, kind == kLetter ? c.value | 0x20U : c.value);
      has_text = true;
    }
    i += static_cast<std::size_t>(std::max(c.length, 1));
  }
  return has_text ? hash | 1 : 0;
}

std::uint64_t line_hash(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" \t"), end = line.find_last_not_of(" \t");
  if (begin == std::string_view::npos) return 0;
  return XXH3_64bits(line.data() + begin, end + 1 - begin);
}

void word_hashes(const TextScan& scan, std::vector<std::uint64_t>& hashes) {
  hashes.clear();
  for (const Word& word : scan.words)
    if (word.hash != 0) hashes.push_back(word.hash);
}

}  // namespace hadal
