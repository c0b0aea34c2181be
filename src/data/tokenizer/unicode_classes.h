#pragma once
// Character classes that pre-tokenizers cut by, for every code point. The table is made with PCRE2 at first use, so
// that it cannot disagree with the regexes it stands in for.
#include <array>
#include <cstdint>
#include <vector>

namespace hadal {

/// Bits of UnicodeClasses::of.
enum CharClass : std::uint8_t {
  kCharLetter = 1,       // \p{L}
  kCharMark = 2,         // \p{M}
  kCharPunct = 4,        // \p{P} and \p{S}
  kCharNumber = 8,       // \p{N}
  kCharSpace = 16,       // \p{White_Space}
  kCharNewline = 32,     // \r \n
  kCharCjk = 64,         // ideographs U+4E00 to U+9FA5, Hiragana, Katakana
  kCharAsciiWord = 128,  // A-Z a-z
};

class UnicodeClasses {
 public:
  /// The one table; made on the first call.
  static const UnicodeClasses& get();
  /// Bits of CharClass. c <= U+10FFFF.
  std::uint8_t of(char32_t c) const { return blocks_[block_of_[c >> 8]][c & 0xFF]; }

 private:
  using Block = std::array<std::uint8_t, 256>;
  UnicodeClasses();
  std::array<std::uint16_t, 0x1100> block_of_{};  // most of the 4,352 blocks look alike and are stored once
  std::vector<Block> blocks_;
};

}  // namespace hadal
