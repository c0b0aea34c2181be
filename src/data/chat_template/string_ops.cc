#include "data/chat_template/string_ops.h"

#include <utf8proc.h>

#include <algorithm>

namespace hadal::jinja {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}
bool is_letter(char32_t c) {
  const auto k = category(c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}
bool is_cased(char32_t c) {
  const auto k = category(c);
  return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}
void append_upper(std::string& out, char32_t c) {
  if (c == 0xDF) {
    out += "SS";
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
}
void append_lower(std::string& out, char32_t c) {
  append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

/// Pieces of `text` between the places [begin, end) in `cuts`.
std::vector<Text> pieces(const Text& text, const std::vector<std::pair<std::size_t, std::size_t>>& cuts) {
  std::vector<Text> result;
  std::size_t from = 0;
  for (const auto& [begin, end] : cuts) {
    result.push_back(text.slice(from, begin));
    from = end;
  }
  result.push_back(text.slice(from, text.size()));
  return result;
}

/// Words between white space; after `most` splits the rest stays as it is, with the white space at its other end.
std::vector<Text> split_words(const Text& text, std::int64_t most) {
  std::vector<Text> result;
  const std::string_view all = text.view();
  for (std::size_t begin = leading_space(all); begin < all.size();) {
    if (static_cast<std::int64_t>(result.size()) >= most) {
      result.push_back(text.slice(begin, all.size()));
      break;
    }
    std::size_t end = begin;
    while (end < all.size()) {
      const CodePoint c = decode_utf8(all.data() + end, all.data() + all.size());
      if (is_space(c.value)) break;
      end += static_cast<std::size_t>(std::max(c.length, 1));
    }
    result.push_back(text.slice(begin, end));
    begin = end + leading_space(all.substr(end));
  }
  return result;
}

std::vector<Text> split_words_from_right(const Text& text, std::int64_t most) {
  std::vector<Text> result;
  const std::string_view all = text.view();
  for (std::size_t end = all.size() - trailing_space(all); end > 0;) {
    if (static_cast<std::int64_t>(result.size()) >= most) {
      result.push_back(text.slice(0, end));
      break;
    }
    std::size_t begin = end;
    for (std::size_t p = end; p-- > 0;) {
      if ((static_cast<unsigned char>(all[p]) & 0xC0) == 0x80) continue;
      if (is_space(decode_utf8(all.data() + p, all.data() + all.size()).value)) break;
      begin = p;
    }
    result.push_back(text.slice(begin, end));
    end = begin - trailing_space(all.substr(0, begin));
  }
  std::reverse(result.begin(), result.end());
  return result;
}

}  // namespace

Text upper(const Text& text) {
  return text.map_code_points([](char32_t c, std::string& out) { append_upper(out, c); });
}
Text lower(const Text& text) {
  return text.map_code_points([](char32_t c, std::string& out) { append_lower(out, c); });
}
Text capitalize(const Text& text) {
  bool first = true;
  return text.map_code_points([&](char32_t c, std::string& out) {
    first ? append_upper(out, c) : append_lower(out, c);
    first = false;
  });
}
Text title(const Text& text) {
  bool inside = false;
  return text.map_code_points([&](char32_t c, std::string& out) {
    inside ? append_lower(out, c) : append_upper(out, c);
    inside = is_cased(c);
  });
}
Text title_words(const Text& text) {
  bool inside = false;
  return text.map_code_points([&](char32_t c, std::string& out) {
    inside ? append_lower(out, c) : append_upper(out, c);
    inside = !(is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<');
  });
}

Text strip(const Text& text, std::string_view characters, bool left, bool right) {
  const std::size_t begin = left ? leading_space(text.view(), characters) : 0;
  const std::size_t end = text.size() - (right ? trailing_space(text.view().substr(begin), characters) : 0);
  return text.slice(begin, end);
}

Text replace(const Text& text, std::string_view from, const Text& to, std::int64_t most) {
  Text result;
  std::size_t at = 0;
  const std::string_view all = text.view();
  if (from.empty()) {  // between all characters, and at both ends
    while (most-- > 0) {
      result.append(to);
      if (at >= all.size()) return result;
      const std::size_t next = at + code_point_offset(all.substr(at), 1);
      result.append(text, at, next);
      at = next;
    }
  } else {
    for (; most > 0; --most) {
      const std::size_t found = all.find(from, at);
      if (found == std::string_view::npos) break;
      result.append(text, at, found);
      result.append(to);
      at = found + from.size();
    }
  }
  result.append(text, at, all.size());
  return result;
}

std::vector<Text> split(const Text& text, const std::optional<std::string>& separator, std::int64_t most,
                        bool from_right) {
  if (most < 0) most = kNoLimit;
  if (!separator) return from_right ? split_words_from_right(text, most) : split_words(text, most);
  std::vector<std::pair<std::size_t, std::size_t>> cuts;
  const std::string_view all = text.view();
  if (!from_right) {
    for (std::size_t at = 0; static_cast<std::int64_t>(cuts.size()) < most;) {
      const std::size_t found = all.find(*separator, at);
      if (found == std::string_view::npos) break;
      at = found + separator->size();
      cuts.emplace_back(found, at);
    }
  } else {
    for (std::size_t end = all.size(); static_cast<std::int64_t>(cuts.size()) < most && end >= separator->size();) {
      const std::size_t found = all.rfind(*separator, end - separator->size());
      if (found == std::string_view::npos) break;
      cuts.emplace_back(found, found + separator->size());
      end = found;
    }
    std::reverse(cuts.begin(), cuts.end());
  }
  return pieces(text, cuts);
}

std::vector<Text> split_lines(const Text& text, bool keep_ends) {
  std::vector<Text> lines;
  const std::string_view all = text.view();
  std::size_t begin = 0;
  for (std::size_t p = 0; p < all.size();) {
    const CodePoint c = decode_utf8(all.data() + p, all.data() + all.size());
    const std::size_t end = p;
    p += static_cast<std::size_t>(std::max(c.length, 1));
    const bool breaks = (c.value >= 10 && c.value <= 13) || (c.value >= 28 && c.value <= 30) || c.value == 0x85 ||
                        c.value == 0x2028 || c.value == 0x2029;
    if (!breaks) continue;
    if (c.value == '\r' && p < all.size() && all[p] == '\n') ++p;
    lines.push_back(text.slice(begin, keep_ends ? p : end));
    begin = p;
  }
  if (begin < all.size()) lines.push_back(text.slice(begin, all.size()));
  return lines;
}

Text slice(const Text& text, std::optional<std::int64_t> start, std::optional<std::int64_t> stop, std::int64_t step) {
  std::vector<std::size_t> offsets;  // of code points
  for (std::size_t p = 0; p < text.size(); ++p)
    if ((static_cast<unsigned char>(text.view()[p]) & 0xC0) != 0x80) offsets.push_back(p);
  const std::size_t count = offsets.size();
  offsets.push_back(text.size());
  const std::vector<std::size_t> chosen = slice_indexes(count, start, stop, step);
  if (chosen.empty()) return {};
  if (step == 1) return text.slice(offsets[chosen.front()], offsets[chosen.back() + 1]);
  Text result;
  for (const std::size_t i : chosen) result.append(text, offsets[i], offsets[i + 1]);
  return result;
}

std::vector<std::size_t> slice_indexes(std::size_t size, std::optional<std::int64_t> start,
                                       std::optional<std::int64_t> stop, std::int64_t step) {
  const auto n = static_cast<std::int64_t>(size);
  const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  const auto clamp = [&](std::optional<std::int64_t> value, std::int64_t missing) {
    if (!value) return missing;
    if (*value < 0) return *value < low - n ? low : std::max(*value + n, low);
    return std::min(*value, high);
  };
  const std::int64_t begin = clamp(start, step > 0 ? low : high), end = clamp(stop, step > 0 ? high : low);
  std::vector<std::size_t> result;
  // A step beyond the items cannot take a second one; so the sum cannot overflow.
  const std::int64_t stride = std::clamp(step, -n - 1, n + 1);
  for (std::int64_t i = begin; step > 0 ? i < end : i > end; i += stride) result.push_back(static_cast<std::size_t>(i));
  return result;
}

std::int64_t count_words(std::string_view text) {
  std::int64_t words = 0;
  bool inside = false;
  for (const char *p = text.data(), *end = p + text.size(); p < end;) {
    const CodePoint c = decode_utf8(p, end);
    const auto length = static_cast<std::size_t>(std::max(c.length, 1));
    const bool word = c.value == '_' || all_of_class({p, length}, CharacterClass::kAlnum);
    if (word && !inside) ++words;
    inside = word;
    p += length;
  }
  return words;
}

bool all_of_class(std::string_view text, CharacterClass wanted) {
  bool cased = false;
  for (const char *p = text.data(), *end = p + text.size(); p < end;) {
    const CodePoint c = decode_utf8(p, end);
    p += std::max(c.length, 1);
    const auto k = category(c.value);
    const bool digit = k == UTF8PROC_CATEGORY_ND;
    bool good = false;
    switch (wanted) {
      case CharacterClass::kAlpha:
        good = is_letter(c.value);
        break;
      case CharacterClass::kDigit:
        good = digit;
        break;
      case CharacterClass::kAlnum:
        good = is_letter(c.value) || digit || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
        break;
      case CharacterClass::kSpace:
        good = is_space(c.value);
        break;
      case CharacterClass::kLower:
        good = !is_cased(c.value) || k == UTF8PROC_CATEGORY_LL;
        cased = cased || k == UTF8PROC_CATEGORY_LL;
        break;
      case CharacterClass::kUpper:
        good = !is_cased(c.value) || k == UTF8PROC_CATEGORY_LU;
        cased = cased || k == UTF8PROC_CATEGORY_LU;
        break;
    }
    if (!good) return false;
  }
  return wanted == CharacterClass::kLower || wanted == CharacterClass::kUpper ? cased : !text.empty();
}

}  // namespace hadal::jinja
