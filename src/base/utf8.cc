#include "base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace hadal {
namespace {

/// What may follow a lead byte: sequence length and the range of the second byte.
struct Lead {
  int length;
  unsigned char low, high;
};

Lead lead_of(unsigned char c) {
  if (c >= 0xC2 && c <= 0xDF) return {2, 0x80, 0xBF};
  if (c == 0xE0) return {3, 0xA0, 0xBF};
  if (c == 0xED) return {3, 0x80, 0x9F};
  if (c >= 0xE1 && c <= 0xEF) return {3, 0x80, 0xBF};
  if (c == 0xF0) return {4, 0x90, 0xBF};
  if (c >= 0xF1 && c <= 0xF3) return {4, 0x80, 0xBF};
  if (c == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// Bytes at `p` that are a prefix of some well-formed sequence (0 for a byte that cannot lead one).
int matching_prefix(const unsigned char* p, const unsigned char* end, const Lead& lead) {
  if (lead.length == 0) return 0;
  if (p + 1 >= end || p[1] < lead.low || p[1] > lead.high) return 1;
  int n = 2;
  while (n < lead.length && p + n < end && (p[n] & 0xC0) == 0x80) ++n;
  return n;
}

}  // namespace

CodePoint decode_utf8(const char* text, const char* text_end) {
  const auto* p = reinterpret_cast<const unsigned char*>(text);
  const auto* end = reinterpret_cast<const unsigned char*>(text_end);
  if (*p < 0x80) return {*p, 1};
  const Lead lead = lead_of(*p);
  if (lead.length == 0 || matching_prefix(p, end, lead) != lead.length) return {};
  char32_t value = *p & (0xFF >> (lead.length + 1));
  for (int i = 1; i < lead.length; ++i) value = (value << 6) | (p[i] & 0x3F);
  return {value, lead.length};
}

CodePoint last_character(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (std::size_t n = 1; n <= std::min<std::size_t>(4, text.size()); ++n) {
    if ((static_cast<unsigned char>(end[-static_cast<std::ptrdiff_t>(n)]) & 0xC0) == 0x80) continue;
    const CodePoint c = decode_utf8(end - n, end);
    return static_cast<std::size_t>(c.length) == n ? c : CodePoint{};
  }
  return {};
}

void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::size_t well_formed_prefix(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* p = begin;
  while (p < end) {
    while (end - p >= 8) {
      std::uint64_t word;
      std::memcpy(&word, p, 8);
      if (word & 0x8080808080808080ULL) break;
      p += 8;
    }
    if (p == end) break;
    const int length = decode_utf8(p, end).length;
    if (length == 0) break;
    p += length;
  }
  return static_cast<std::size_t>(p - begin);
}

std::size_t incomplete_suffix(std::string_view text) {
  const auto* begin = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = begin + text.size();
  for (std::ptrdiff_t back = 1; back <= std::min<std::ptrdiff_t>(3, end - begin); ++back) {
    const Lead lead = lead_of(end[-back]);
    if (lead.length > back && matching_prefix(end - back, end, lead) == back) return static_cast<std::size_t>(back);
    if ((end[-back] & 0xC0) != 0x80) break;
  }
  return 0;
}

std::string replace_ill_formed(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t good = well_formed_prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    const auto* p = reinterpret_cast<const unsigned char*>(text.data());
    const int bad = std::max(1, matching_prefix(p, p + text.size(), lead_of(*p)));
    append_utf8(out, 0xFFFD);
    text.remove_prefix(static_cast<std::size_t>(bad));
  }
  return out;
}

}  // namespace hadal
