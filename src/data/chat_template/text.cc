#include "data/chat_template/text.h"

#include <algorithm>

namespace hadal::jinja {
namespace {

/// Whether the character at p counts as white space, and its length.
bool strips(const CodePoint& c, const char* p, std::string_view characters) {
  if (characters.empty()) return c.length > 0 && is_space(c.value);
  const std::string_view character(p, static_cast<std::size_t>(std::max(c.length, 1)));
  return characters.find(character) != std::string_view::npos;
}

}  // namespace

void Text::append(std::string_view bytes, Origin origin) {
  if (bytes.empty()) return;
  const std::size_t begin = size();
  bytes_ += bytes;
  const std::size_t marked = runs_.empty() ? 0 : runs_.back().end;
  if (origin == kTemplateOrigin) return;
  if (marked < begin) runs_.push_back({begin, kTemplateOrigin});
  if (!runs_.empty() && runs_.back().origin == origin) {
    runs_.back().end = size();
  } else {
    runs_.push_back({size(), origin});
  }
}

void Text::append(const Text& other, std::size_t begin, std::size_t end) {
  if (this == &other) return append(Text(other), begin, end);
  std::size_t from = begin;
  const auto first = std::upper_bound(other.runs_.begin(), other.runs_.end(), begin,
                                      [](std::size_t b, const Run& r) { return b < r.end; });
  for (auto run = first; run != other.runs_.end() && from < end; ++run) {
    const std::size_t to = std::min(run->end, end);
    append(other.view().substr(from, to - from), run->origin);
    from = to;
  }
  if (from < end) append(other.view().substr(from, end - from), kTemplateOrigin);
}

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::size_t code_point_offset(std::string_view text, std::size_t index) {
  std::size_t offset = 0;
  for (; offset < text.size(); ++offset) {
    if ((static_cast<unsigned char>(text[offset]) & 0xC0) == 0x80) continue;
    if (index-- == 0) return offset;
  }
  return offset;
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::size_t leading_space(std::string_view text, std::string_view characters) {
  const char *p = text.data(), *const end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    if (!strips(c, p, characters)) break;
    p += std::max(c.length, 1);
  }
  return static_cast<std::size_t>(p - text.data());
}

std::size_t trailing_space(std::string_view text, std::string_view characters) {
  const char *const begin = text.data(), *const end = begin + text.size(), *p = end;
  while (p > begin) {
    const char* start = p - 1;
    while (start > begin && (static_cast<unsigned char>(*start) & 0xC0) == 0x80) --start;
    if (!strips(decode_utf8(start, p), start, characters)) break;
    p = start;
  }
  return static_cast<std::size_t>(end - p);
}

}  // namespace hadal::jinja
