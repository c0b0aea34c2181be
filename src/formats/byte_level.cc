#include "formats/byte_level.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace hadal {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<std::int16_t, 256 + 68> byte{};  // -1: not of the alphabet
};

constexpr Alphabet kAlphabet = [] {
  Alphabet a;
  for (auto& byte : a.byte) byte = -1;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    a.character[byte] = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
    a.byte[a.character[byte]] = static_cast<std::int16_t>(byte);
  }
  return a;
}();

}  // namespace

char32_t byte_level_character(unsigned char byte) {
  return kAlphabet.character[byte];
}

std::string byte_level_encode(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) append_utf8(text, byte_level_character(static_cast<unsigned char>(c)));
  return text;
}

bool byte_level_decode(std::string_view text, std::string& bytes) {
  bytes.clear();
  const char* end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    const CodePoint c = decode_utf8(p, end);
    if (c.length == 0 || c.value >= kAlphabet.byte.size() || kAlphabet.byte[c.value] < 0) {
      bytes.clear();
      return false;
    }
    bytes.push_back(static_cast<char>(kAlphabet.byte[c.value]));
    p += c.length;
  }
  return true;
}

}  // namespace hadal
