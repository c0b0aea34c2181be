#include "data/tokenizer/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace hadal {
namespace {

constexpr auto kDecompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

/// Characters that NFC neither changes nor joins to the one before them: up to U+02FF, CJK punctuation, unified
/// ideographs.
bool is_inert(char32_t c) {
  return c < 0x300 || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3000 && c <= 0x3029);
}

int combining_class(utf8proc_int32_t c) {
  return utf8proc_get_property(c)->combining_class;
}

/// Normalises well-formed text. The library's own loop over marks is quadratic in their number, so they are put in
/// order here.
void append_nfc(std::string_view text, std::string& out, std::vector<utf8proc_int32_t>& buffer) {
  buffer.clear();
  const char *p = text.data(), *const end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    p += c.length;
    std::array<utf8proc_int32_t, 32> parts;  // the longest canonical decomposition has 4
    const utf8proc_ssize_t n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.value), parts.data(),
                                                       parts.size(), kDecompose, nullptr);
    HADAL_CHECK(n >= 0 && n <= std::ssize(parts), "NFC: U+", static_cast<std::uint32_t>(c.value), " gives ", n);
    buffer.insert(buffer.end(), parts.begin(), parts.begin() + n);
  }
  for (auto from = buffer.begin(); from != buffer.end();) {
    const auto is_mark = [](utf8proc_int32_t c) { return combining_class(c) != 0; };
    const auto first = std::find_if(from, buffer.end(), is_mark);
    const auto last = std::find_if_not(first, buffer.end(), is_mark);
    std::stable_sort(first, last, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    from = last;
  }
  const utf8proc_ssize_t n = utf8proc_normalize_utf32(buffer.data(), std::ssize(buffer), kCompose);
  HADAL_CHECK(n >= 0, "NFC: ", utf8proc_errmsg(n));
  for (utf8proc_ssize_t i = 0; i < n; ++i) append_utf8(out, static_cast<char32_t>(buffer[static_cast<std::size_t>(i)]));
}

}  // namespace

std::string to_nfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> buffer;
  const char *const end = text.data() + text.size(), *p = text.data(), *previous = nullptr;
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    if (c.length == 0 || is_inert(c.value)) {
      previous = c.length == 0 ? nullptr : p;
      const auto length = static_cast<std::size_t>(std::max(c.length, 1));
      out.append(p, length);
      p += length;
      continue;
    }
    // A stretch that may change, with the character before it, up to the next one that cannot.
    const char* const begin = previous == nullptr ? p : previous;
    out.resize(out.size() - static_cast<std::size_t>(p - begin));
    while (p < end) {
      const CodePoint next = decode_utf8(p, end);
      if (next.length == 0 || is_inert(next.value)) break;
      p += next.length;
    }
    append_nfc({begin, static_cast<std::size_t>(p - begin)}, out, buffer);
    previous = nullptr;
  }
  return out;
}

}  // namespace hadal
