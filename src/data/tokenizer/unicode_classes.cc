#include "data/tokenizer/unicode_classes.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/utf8.h"
#include "data/tokenizer/regex.h"

namespace hadal {
namespace {

/// Sets `bit` for the characters of `text` (one for each entry of `starts`, in order) that the class matches.
void mark(const char* pattern, std::uint8_t bit, const std::string& text, const std::vector<char32_t>& code_points,
          const std::vector<std::uint32_t>& starts, std::vector<std::uint8_t>& classes, Regex::Workspace& workspace) {
  const Regex regex(pattern);
  std::size_t from = 0, i = 0;
  while (const auto match = regex.find(text, from, workspace)) {
    while (starts[i] < match->first) ++i;
    for (; i < starts.size() && starts[i] < match->second; ++i) classes[code_points[i]] |= bit;
    from = match->second;
  }
}

}  // namespace

const UnicodeClasses& UnicodeClasses::get() {
  static const UnicodeClasses table;
  return table;
}

UnicodeClasses::UnicodeClasses() {
  // Planes 4 to 13 are empty and 15, 16 are for private use: no class that matters here.
  std::string text;
  std::vector<char32_t> code_points;
  std::vector<std::uint32_t> starts;
  const auto add_range = [&](char32_t first, char32_t last) {
    for (char32_t c = first; c <= last; ++c) {
      code_points.push_back(c);
      starts.push_back(static_cast<std::uint32_t>(text.size()));
      append_utf8(text, c);
    }
  };
  add_range(0, 0xD7FF);
  add_range(0xE000, 0x3FFFF);
  add_range(0xE0000, 0xE0FFF);

  std::vector<std::uint8_t> classes(0x110000, 0);
  Regex::Workspace workspace;
  const auto mark_all = [&](const char* pattern, CharClass bit) {
    mark(pattern, bit, text, code_points, starts, classes, workspace);
  };
  mark_all("\\p{L}+", kCharLetter);
  mark_all("\\p{M}+", kCharMark);
  mark_all("[\\p{P}\\p{S}]+", kCharPunct);
  mark_all("\\p{N}+", kCharNumber);
  mark_all("\\s+", kCharSpace);
  mark_all("[\r\n]", kCharNewline);
  mark_all("[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+", kCharCjk);
  mark_all("[A-Za-z]+", kCharAsciiWord);

  std::map<Block, std::uint16_t> index_of;
  for (std::size_t b = 0; b < block_of_.size(); ++b) {
    Block block;
    std::copy_n(classes.begin() + static_cast<std::ptrdiff_t>(256 * b), 256, block.begin());
    const auto [entry, is_new] = index_of.emplace(block, static_cast<std::uint16_t>(blocks_.size()));
    if (is_new) blocks_.push_back(block);
    block_of_[b] = entry->second;
  }
}

}  // namespace hadal
