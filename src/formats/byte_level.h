#pragma once
// The printable alphabet of byte-level BPE files: each byte is written as one character, so that vocabularies are valid
// text. Bytes that are visible Latin-1 characters stand for themselves, the other 68 become U+0100 onwards, in order.
#include <string>
#include <string_view>

namespace hadal {

/// The character that stands for a byte.
char32_t byte_level_character(unsigned char byte);

/// Bytes to file text.
std::string byte_level_encode(std::string_view bytes);

/// File text to bytes. False, with `bytes` cleared, when a character is not of the alphabet.
bool byte_level_decode(std::string_view text, std::string& bytes);

}  // namespace hadal
