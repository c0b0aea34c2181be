#include "data/chat_template/lexer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/utf8.h"
#include "data/chat_template/text.h"

namespace hadal::jinja {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Line breaks as \n, without one at the very end, as Jinja reads files.
std::string normalize_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view where) : source_(normalize_lines(source)), where_(where) {}

  std::vector<Token> run() {
    while (pos_ < source_.size()) {
      const std::size_t open = find_tag(pos_);
      if (open == std::string::npos) {
        text(source_.size(), '\0', '\0');
        break;
      }
      const char kind = source_[open + 1];  // { % #
      const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
      text(open, kind, sign);
      const int line = line_;
      advance(open + 2 + (sign == '-' || sign == '+' ? 1 : 0));
      if (kind == '#') {
        comment(line);
      } else if (kind == '%' && raw_begins()) {
        raw(line);
      } else {
        add(kind == '{' ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, "");
        expression(kind, line);
      }
    }
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void error(int line, const auto&... parts) const { fail(where_, ":", line, ": ", parts...); }

  void add(TokenKind kind, std::string token_text) { tokens_.push_back({kind, line_, std::move(token_text)}); }

  void advance(std::size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(pos_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    pos_ = to;
  }

  std::size_t find_tag(std::size_t from) const {
    for (std::size_t at = source_.find('{', from); at != std::string::npos; at = source_.find('{', at + 1))
      if (at + 1 < source_.size() && (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#'))
        return at;
    return std::string::npos;
  }

  /// Text up to `end`, where a tag of this kind and sign opens ('\0': the end of the template).
  void text(std::size_t end, char kind, char sign) {
    std::string_view piece = std::string_view(source_).substr(pos_, end - pos_);
    if (sign == '-') {
      piece.remove_suffix(trailing_space(piece));
    } else if (sign != '+' && (kind == '%' || kind == '#')) {
      // lstrip_blocks: a tag that is alone at the start of its line takes the white space before it with it.
      const std::size_t line_start = piece.rfind('\n') + 1;  // npos + 1 is 0
      if ((line_start > 0 || at_line_start_) && leading_space(piece.substr(line_start)) == piece.size() - line_start)
        piece = piece.substr(0, line_start);
    }
    if (!piece.empty()) add(TokenKind::kText, std::string(piece));
    advance(end);
  }

  /// Behind the end of a tag: "-" takes all white space with it, otherwise blocks take one line break (trim_blocks).
  void close(char sign, bool block) {
    std::size_t end = pos_;
    if (sign == '-') {
      end += leading_space(std::string_view(source_).substr(pos_));
    } else if (block && sign != '+' && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    at_line_start_ = end > 0 && source_[end - 1] == '\n';
    advance(end);
  }

  void comment(int line) {
    const std::size_t end = source_.find("#}", pos_);
    if (end == std::string::npos) error(line, "a comment is not closed");
    const char sign = end > pos_ && (source_[end - 1] == '-' || source_[end - 1] == '+') ? source_[end - 1] : '\0';
    advance(end + 2);
    close(sign, true);
  }

  /// Whether "raw %}" or "raw -%}" follows; then it is read.
  bool raw_begins() {
    const auto rest = [&](std::size_t at) { return std::string_view(source_).substr(at); };
    std::size_t at = pos_ + leading_space(rest(pos_));
    if (!rest(at).starts_with("raw")) return false;
    at += 3;
    at += leading_space(rest(at));
    const char sign = rest(at).starts_with("-%}") ? '-' : '\0';
    if (sign == '\0' && !rest(at).starts_with("%}")) return false;
    advance(at + (sign == '-' ? 3 : 2));
    close(sign, false);
    return true;
  }

  void raw(int line) {
    for (std::size_t open = source_.find("{%", pos_); open != std::string::npos; open = source_.find("{%", open + 2)) {
      const auto rest = [&](std::size_t at) { return std::string_view(source_).substr(at); };
      std::size_t at = open + 2;
      const char begin_sign = at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at++] : '\0';
      at += leading_space(rest(at));
      if (!rest(at).starts_with("endraw")) continue;
      at += 6;
      at += leading_space(rest(at));
      const char end_sign = rest(at).starts_with("-%}") ? '-' : rest(at).starts_with("+%}") ? '+' : '\0';
      if (end_sign != '\0') ++at;
      if (!rest(at).starts_with("%}")) continue;
      text(open, '%', begin_sign);
      advance(at + 2);
      return close(end_sign, true);
    }
    error(line, "a raw block is not closed");
  }

  /// Tokens up to the end of the tag that `kind` opened.
  void expression(char kind, int line) {
    const std::string_view all = source_;
    std::string brackets;
    while (true) {
      advance(pos_ + leading_space(all.substr(pos_)));
      if (pos_ >= all.size()) error(line, kind == '{' ? "{{" : "{%", " is not closed");
      if (brackets.empty()) {
        const std::string_view end = kind == '{' ? "}}" : "%}";
        const char sign = all[pos_] == '-' || (kind == '%' && all[pos_] == '+') ? all[pos_] : '\0';
        if (all.substr(pos_ + (sign != '\0' ? 1 : 0)).starts_with(end)) {
          advance(pos_ + (sign != '\0' ? 3 : 2));
          add(kind == '{' ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "");
          return close(sign, kind == '%');
        }
      }
      const char c = all[pos_];
      if (is_name_start(c)) {
        std::size_t end = pos_ + 1;
        while (end < all.size() && (is_name_start(all[end]) || is_digit(all[end]))) ++end;
        add(TokenKind::kName, std::string(all.substr(pos_, end - pos_)));
        advance(end);
      } else if (is_digit(c)) {
        number();
      } else if (c == '"' || c == '\'') {
        string(c);
      } else {
        sign(brackets);
      }
    }
  }

  void number() {
    const std::string_view all = source_;
    std::size_t end = pos_;
    const auto digits = [&] {
      while (end < all.size() &&
             (is_digit(all[end]) || (all[end] == '_' && end + 1 < all.size() && is_digit(all[end + 1]))))
        ++end;
    };
    digits();
    bool is_float = false;
    if (end + 1 < all.size() && all[end] == '.' && is_digit(all[end + 1])) {
      is_float = true;
      ++end;
      digits();
    }
    if (end < all.size() && (all[end] == 'e' || all[end] == 'E')) {
      const std::size_t mark = end;
      ++end;
      if (end < all.size() && (all[end] == '+' || all[end] == '-')) ++end;
      if (end < all.size() && is_digit(all[end])) {
        is_float = true;
        digits();
      } else {
        end = mark;
      }
    }
    if (end < all.size() && is_name_start(all[end])) error(line_, "a number is followed by letters");
    std::string digits_only(all.substr(pos_, end - pos_));
    std::erase(digits_only, '_');
    add(is_float ? TokenKind::kFloat : TokenKind::kInt, std::move(digits_only));
    advance(end);
  }

  /// A string literal, with Python's escapes.
  void string(char quote) {
    const std::string_view all = source_;
    const int line = line_;
    std::string value;
    std::size_t at = pos_ + 1;
    for (;; ++at) {
      if (at >= all.size()) error(line, "a string is not closed");
      if (all[at] == quote) break;
      if (all[at] != '\\') {
        value += all[at];
        continue;
      }
      if (++at >= all.size()) error(line, "a string is not closed");
      at = escape(at, value) - 1;
    }
    tokens_.push_back({TokenKind::kString, line, std::move(value)});
    advance(at + 1);
  }

  /// The escape whose letter stands at `at`. Returns where the text goes on.
  std::size_t escape(std::size_t at, std::string& value) const {
    const char c = source_[at];
    constexpr std::string_view kLetters = "\\'\"abfnrtv", kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t known = kLetters.find(c); known != std::string_view::npos) {
      value += kMeanings[known];
      return at + 1;
    }
    if (c == '\n') return at + 1;
    int base = 16, most = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    std::size_t digit = at + 1;
    if (c >= '0' && c <= '7') {
      base = 8;
      most = 3;
      digit = at;
    }
    if (c == 'N') error(line_, "\\N{...} in a string is not supported");
    if (most == 0) {  // Python keeps what it does not know
      value += '\\';
      return at;
    }
    char32_t code = 0;
    int count = 0;
    for (; count < most && digit < source_.size(); ++count, ++digit) {
      const int d = hex_digit(source_[digit]);
      if (d < 0 || d >= base) break;
      code = code * static_cast<char32_t>(base) + static_cast<char32_t>(d);
    }
    if ((base == 16 && count < most) || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      error(line_, "a string has an escape that is no character");
    append_utf8(value, code);
    return digit;
  }
  static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }

  void sign(std::string& brackets) {
    constexpr std::array<std::string_view, 25> kSigns = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*",
                                                         "/",  "%",  "~",  "<",  ">",  "=",  ".", ":", "|",
                                                         ",",  "(",  ")",  "[",  "]",  "{",  "}"};
    const std::string_view rest = std::string_view(source_).substr(pos_);
    const auto found =
        std::find_if(kSigns.begin(), kSigns.end(), [&](std::string_view s) { return rest.starts_with(s); });
    if (found == kSigns.end()) error(line_, "unexpected character ", source_.substr(pos_, 1));
    const char c = found->front();
    if (c == '(' || c == '[' || c == '{') brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty() || brackets.back() != c) error(line_, "unexpected ", c);
      brackets.pop_back();
    }
    add(TokenKind::kSign, std::string(*found));
    advance(pos_ + found->size());
  }

  std::string source_;
  std::string where_;
  std::size_t pos_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize_template(std::string_view source, std::string_view where) {
  return Lexer(source, where).run();
}

}  // namespace hadal::jinja
