#pragma once
// UTF-8 over untrusted bytes. "Well-formed" is the definition of Unicode (table 3-7): no overlong forms, no surrogates,
// nothing above U+10FFFF.
#include <cstddef>
#include <string>
#include <string_view>

namespace hadal {

struct CodePoint {
  char32_t value = 0;
  int length = 0;  // bytes; 0: no well-formed sequence starts here
};

/// The code point at `p`. p < end.
CodePoint decode_utf8(const char* p, const char* end);

/// The code point that `text` ends in; length 0 when it ends in no well-formed sequence, or is empty.
CodePoint last_character(std::string_view text);

void append_utf8(std::string& text, char32_t code_point);

/// Bytes of the longest well-formed prefix.
std::size_t well_formed_prefix(std::string_view text);

/// Bytes at the end of `text` that could still become a well-formed sequence if more bytes came (0 to 3).
std::size_t incomplete_suffix(std::string_view text);

/// Well-formed text: each maximal ill-formed part becomes one U+FFFD, as browsers and Rust's from_utf8_lossy do.
std::string replace_ill_formed(std::string_view text);

}  // namespace hadal
