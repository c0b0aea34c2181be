#include "data/sft/show.h"

#include "base/error.h"
#include "base/utf8.h"

namespace hadal {
namespace {

/// Text of a sample must not steer the terminal.
std::string printable(const std::string& bytes) {
  std::string out;
  for (const char c : replace_ill_formed(bytes)) {
    if (c == '\n') out += "\u21B5";
    if (c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F)) {
      out += c;
    } else {
      append_utf8(out, 0x2400 + (c == 0x7F ? 0x21 : static_cast<char32_t>(c)));
    }
  }
  return out;
}

}  // namespace

std::string show_mask(const Tokenizer& tokenizer, std::span<const int> ids, std::span<const char> trained, bool color) {
  std::string out;
  for (std::size_t begin = 0; begin < ids.size();) {
    // A character may be made of several tokens: text is shown by stretches of one kind.
    const bool control = tokenizer.is_special(ids[begin]);
    std::string bytes;
    std::size_t end = begin;
    for (; end < ids.size() && trained[end] == trained[begin] && tokenizer.is_special(ids[end]) == control; ++end)
      bytes += tokenizer.token_bytes(ids[end]);
    if (color) {
      out += str_cat(trained[begin] ? "\033[32m" : "\033[2m", control ? "\033[1m" : "", printable(bytes), "\033[0m");
    } else {
      const bool opens = trained[begin] && (begin == 0 || !trained[begin - 1]);
      const bool closes = trained[begin] && (end == ids.size() || !trained[end]);
      out += str_cat(opens ? "[[" : "", printable(bytes), closes ? "]]" : "");
    }
    begin = end;
  }
  return out;
}

}  // namespace hadal
