#include "data/tasks/math_lexer.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/utf8.h"

namespace hadal {
namespace {

struct Named {
  std::string_view name;
  char kind;
  std::string_view text;
};

// Commands of LaTeX; kind ' ' is left out, 'w' takes the words in braces.
constexpr std::array kCommands = std::to_array<Named>({
    {"frac", 'F', ""},
    {"dfrac", 'F', ""},
    {"tfrac", 'F', ""},
    {"cfrac", 'F', ""},
    {"sqrt", 'R', ""},
    {"pi", 'a', "pi"},
    {"infty", 'a', "inf"},
    {"cdot", '*', ""},
    {"times", '*', ""},
    {"ast", '*', ""},
    {"div", '/', ""},
    {"pm", 'P', ""},
    {"mp", 'M', ""},
    {"cup", 'U', ""},
    {"in", 'I', ""},
    {"le", 'L', ""},
    {"leq", 'L', ""},
    {"leqslant", 'L', ""},
    {"ge", 'G', ""},
    {"geq", 'G', ""},
    {"geqslant", 'G', ""},
    {"lt", '<', ""},
    {"gt", '>', ""},
    {"ne", 'N', ""},
    {"neq", 'N', ""},
    {"{", 'S', ""},
    {"}", 's', ""},
    {"lbrace", 'S', ""},
    {"rbrace", 's', ""},
    {"langle", '(', ""},
    {"rangle", ')', ""},
    {"%", '%', ""},
    {"\\", 'r', ""},
    {"overline", 'o', ""},
    {"circ", 'd', ""},
    {"degree", 'd', ""},
    {"lvert", '|', ""},
    {"rvert", '|', ""},
    {"vert", '|', ""},
    {"mid", '|', ""},
    {"colon", ':', ""},
    {"left", ' ', ""},
    {"right", ' ', ""},
    {"big", ' ', ""},
    {"Big", ' ', ""},
    {"bigl", ' ', ""},
    {"bigr", ' ', ""},
    {",", ' ', ""},
    {";", ' ', ""},
    {":", ' ', ""},
    {"!", ' ', ""},
    {" ", ' ', ""},
    {"$", ' ', ""},
    {"(", ' ', ""},
    {")", ' ', ""},
    {"[", ' ', ""},
    {"]", ' ', ""},
    {"quad", ' ', ""},
    {"qquad", ' ', ""},
    {"displaystyle", ' ', ""},
    {"boxed", ' ', ""},
    {"limits", ' ', ""},
    {"text", 'w', ""},
    {"textbf", 'w', ""},
    {"textit", 'w', ""},
    {"textrm", 'w', ""},
    {"mathrm", 'w', ""},
    {"mathbf", 'w', ""},
    {"mbox", 'w', ""},
    {"operatorname", 'w', ""},
    {"mathbb", 'w', ""},
    {"emptyset", 'w', "empty set"},
    {"varnothing", 'w', "empty set"},
    {"mathsf", 'w', ""},
    {"mathit", 'w', ""},
    {"hline", ' ', ""},
});
constexpr std::array<std::string_view, 18> kFunctions{"sin",    "cos",    "tan",    "cot",  "sec",  "csc",
                                                      "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
                                                      "log",    "ln",     "exp",    "sqrt", "lg",   "det"};
constexpr std::array<std::string_view, 24> kGreek{
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta",    "theta", "iota", "kappa", "lambda",
    "mu",    "nu",   "xi",    "rho",   "sigma",   "tau",        "phi",  "varphi", "chi",   "psi",  "omega", "ell"};
// Shorter than the words that are words by their length.
constexpr auto kShortWords = std::to_array<std::string_view>(
    {"cm",  "mm",  "km",  "kg",  "mg",   "ml",  "mi",  "ft",  "in",  "lb",  "oz",  "hr",  "min", "sec",
     "mph", "kph", "day", "cup", "cent", "usd", "rad", "deg", "yes", "no",  "odd", "not", "all", "men",
     "yd",  "hrs", "lbs", "ten", "pts",  "per", "the", "one", "two", "six", "box", "bus", "egg", "pen"});
struct Unicode {
  char32_t c;
  char kind;
  std::string_view text;
};
constexpr std::array kCharacters = std::to_array<Unicode>({
    {0x2212, '-', ""},  {0x2013, '-', ""},    {0xD7, '*', ""},   {0x22C5, '*', ""},
    {0xB7, '*', ""},    {0xF7, '/', ""},      {0x2215, '/', ""}, {0xB1, 'P', ""},
    {0x2213, 'M', ""},  {0x222A, 'U', ""},    {0x2208, 'I', ""}, {0x2264, 'L', ""},
    {0x2265, 'G', ""},  {0x2260, 'N', ""},    {0xB0, 'd', ""},   {0x221A, 'R', ""},
    {0x3C0, 'a', "pi"}, {0x221E, 'a', "inf"}, {0x3001, ',', ""}, {0x20AC, ' ', ""},
    {0xA3, ' ', ""},    {0xA5, ' ', ""},      {0xA0, ' ', ""},   {0x2009, ' ', ""},
    {0x202F, ' ', ""},  {0x3000, ' ', ""},    {0x3002, '.', ""}, {0x2205, 'w', "empty set"},
});

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}
template <class Table>
bool contains(const Table& table, std::string_view name) {
  return std::find(table.begin(), table.end(), name) != table.end();
}

class Lexer {
 public:
  Lexer(std::string text, CommaReading reading) : text_(std::move(text)), reading_(reading) {}

  Result<std::vector<MathToken>> run() {
    while (at_ < text_.size() && problem_.empty()) step();
    if (!problem_.empty()) return Failure{problem_};
    // The point that ends a sentence.
    while (!tokens_.empty() && tokens_.back().kind == '.') tokens_.pop_back();
    if (std::any_of(tokens_.begin(), tokens_.end(), [](const MathToken& t) { return t.kind == '.'; }))
      return Failure{"a point where none can be"};
    push(0);
    return std::move(tokens_);
  }

 private:
  void push(char kind, std::string_view text = {}) {
    tokens_.push_back({.kind = kind, .text = std::string(text), .space = std::exchange(space_, false)});
  }
  void push_named(char kind, std::string_view text) {
    if (kind == ' ')
      space_ = true;
    else
      push(kind, text);
  }
  char peek(std::size_t offset = 0) const { return at_ + offset < text_.size() ? text_[at_ + offset] : '\0'; }

  void step() {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '$' || c == '~' || c == '`') {
      space_ = true, ++at_;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      number();
    } else if (is_letter(c)) {
      letters();
    } else if (c == '\\') {
      command();
    } else if (c == '*' && peek(1) == '*') {
      at_ += 2, push('^');
    } else if (c == '<' && peek(1) == '=') {
      at_ += 2, push('L');
    } else if (c == '>' && peek(1) == '=') {
      at_ += 2, push('G');
    } else if (c == ';') {
      ++at_, push(',');
    } else if (std::string_view("+-*/^_!%()[]{},|=<>&:.").find(c) != std::string_view::npos) {
      ++at_, push(c);
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      character();
    } else {
      problem_ = str_cat("character ", static_cast<int>(static_cast<unsigned char>(c)), " means nothing in an answer");
    }
  }

  // Whether so many digits, and not one more, stand `offset` from here.
  bool digits_at(std::size_t offset, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i)
      if (!is_digit(peek(offset + i))) return false;
    return !is_digit(peek(offset + count));
  }

  void number() {
    std::string digits;
    bool point = false;
    const auto group_length = [&]() -> std::size_t {  // of a separator of thousands here; 0: none
      if (digits.empty() || digits.size() > 3 + 3 * groups_ || point) return 0;
      if (text_.compare(at_, 3, "{,}") == 0 && digits_at(3, 3)) return 3;
      if (reading_ != CommaReading::kThousands) return 0;
      if (text_.compare(at_, 3, ",\\!") == 0) {
        const std::size_t length = peek(3) == ' ' ? 4 : 3;
        return digits_at(length, 3) ? length : 0;
      }
      if (text_.compare(at_, 2, "\\,") == 0 && digits_at(2, 3)) return 2;
      return (peek() == ',' || peek() == ' ') && digits_at(1, 3) ? 1 : 0;
    };
    groups_ = 0;
    while (true) {
      if (is_digit(peek())) {
        digits += text_[at_++];
      } else if (const std::size_t length = group_length(); length != 0) {
        at_ += length, ++groups_;
      } else if (!point && peek() == '.' &&
                 (is_digit(peek(1)) || (!digits.empty() && text_.compare(at_, 10, ".\\overline") == 0))) {
        point = true, digits += text_[at_++];
      } else if (!point && reading_ == CommaReading::kDecimal && peek() == ',' && is_digit(peek(1))) {
        point = true, digits += '.', ++at_;
      } else {
        break;
      }
    }
    push('n', digits);
    exponent();
  }

  // 1.5e3, 2E-4
  void exponent() {
    if (peek() != 'e' && peek() != 'E') return;
    const bool sign = peek(1) == '-' || peek(1) == '+';
    if (!is_digit(peek(sign ? 2 : 1))) return;
    push('*'), push('n', "10"), push('^');
    const bool negative = peek(1) == '-';
    at_ += sign ? 2 : 1;
    const std::size_t begin = at_;
    while (is_digit(peek())) ++at_;
    push('{');
    if (negative) push('-');
    push('n', std::string_view(text_).substr(begin, at_ - begin));
    push('}');
  }

  void letters() {
    const std::size_t begin = at_;
    while (is_letter(peek())) ++at_;
    const std::string_view run = std::string_view(text_).substr(begin, at_ - begin);
    const std::string low = lower(run);
    if (low == "and" || low == "or") {
      push(',');
    } else if (low == "sqrt") {
      push('R');
    } else if (low == "pi" || is_math_function(low)) {
      push('a', low);
    } else if (low == "infinity" || low == "inf" || low == "oo") {
      push('a', "inf");
    } else if (run.size() > 3 || contains(kShortWords, low)) {
      push('w', low);
    } else {
      for (const char c : run) push('a', std::string_view(&c, 1));
    }
  }

  void command() {
    const std::size_t begin = ++at_;
    while (is_letter(peek())) ++at_;
    if (at_ == begin && at_ < text_.size()) ++at_;
    const std::string_view name = std::string_view(text_).substr(begin, at_ - begin);
    if (name == "begin" || name == "end") return environment(name == "begin");
    if (is_math_function(name) || contains(kGreek, name)) {
      if (name == "sqrt") return push('R');
      return push('a', name);
    }
    const auto* found =
        std::find_if(kCommands.begin(), kCommands.end(), [&](const Named& n) { return n.name == name; });
    if (found == kCommands.end()) {
      problem_ = str_cat("\\", name, " means nothing in an answer");
    } else if (found->kind == 'w' && found->text.empty()) {
      words();
    } else {
      push_named(found->kind, found->text);
    }
  }

  // \text{ ... }: a letter is a symbol (the choice B), a number a number, the rest words.
  void words() {
    while (peek() == ' ') ++at_;
    const std::size_t end = text_.find('}', at_);
    if (peek() != '{' || end == std::string::npos) {
      problem_ = "\\text without braces";
      return;
    }
    std::string inner = lower(std::string_view(text_).substr(at_ + 1, end - at_ - 1));
    const std::string written = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    std::string kept;
    for (const char c : inner)
      if (c != ' ' || (!kept.empty() && kept.back() != ' ')) kept += c;
    while (!kept.empty() && (kept.back() == ' ' || kept.back() == '.')) kept.pop_back();
    const bool has_letters = std::any_of(kept.begin(), kept.end(), [](char c) { return is_letter(c) || c < 0; });
    if (kept.empty()) {
      space_ = true;
    } else if (kept == "and" || kept == "or") {
      push(',');
    } else if (kept.size() == 1 && has_letters) {
      // A letter behind a value is a unit.
      const bool after_value =
          !tokens_.empty() && std::string_view("na)]}").find(tokens_.back().kind) != std::string_view::npos;
      push(after_value ? 'w' : 'a', written.substr(written.find_first_not_of(' '), 1));
    } else if (has_letters && kept.find_first_of("(){}\\") == std::string::npos) {
      push('w', kept);
    } else {
      Result<std::vector<MathToken>> tokens =
          Lexer(written.find('\\') == std::string::npos ? written : "", reading_).run();
      if (!tokens || tokens.value().empty()) {
        problem_ = "\\text of no words";
        return;
      }
      tokens.value().pop_back();
      for (MathToken& t : tokens.value()) tokens_.push_back(std::move(t));
    }
  }

  void environment(bool begins) {
    const std::size_t end = text_.find('}', at_);
    if (peek() != '{' || end == std::string::npos || text_.substr(at_, end - at_).find("matrix") == std::string::npos) {
      problem_ = "an environment that is no matrix";
      return;
    }
    at_ = end + 1;
    push(begins ? 'B' : 'E');
  }

  void character() {
    const CodePoint c = decode_utf8(text_.data() + at_, text_.data() + text_.size());
    if (c.length == 0) {
      problem_ = "not UTF-8";
      return;
    }
    const std::size_t begin = at_;
    at_ += static_cast<std::size_t>(c.length);
    const auto* found =
        std::find_if(kCharacters.begin(), kCharacters.end(), [&](const Unicode& u) { return u.c == c.value; });
    if (found != kCharacters.end()) return push_named(found->kind, found->text);
    if (c.value == 0xB2 || c.value == 0xB3) return push('^'), push('n', c.value == 0xB2 ? "2" : "3");
    if (c.value >= 0xBC && c.value <= 0xBE) {  // quarters
      push('F'), push('n', c.value == 0xBE ? "3" : "1"), push('n', c.value == 0xBD ? "2" : "4");
      return;
    }
    // Words of other scripts; neighbouring characters are one word.
    const std::string_view bytes = std::string_view(text_).substr(begin, static_cast<std::size_t>(c.length));
    if (!space_ && !tokens_.empty() && tokens_.back().kind == 'w')
      tokens_.back().text += bytes;
    else
      push('w', bytes);
  }

  std::string text_;
  CommaReading reading_;
  std::size_t at_ = 0, groups_ = 0;
  bool space_ = false;
  std::vector<MathToken> tokens_;
  std::string problem_;
};

// Full-width forms as their ASCII twins.
std::string narrow_forms(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text.data() + i, text.data() + text.size());
    if (c.length == 3 && c.value >= 0xFF01 && c.value <= 0xFF5E) {
      out += static_cast<char>(c.value - 0xFEE0);
    } else {
      out.append(text, i, static_cast<std::size_t>(std::max(c.length, 1)));
    }
    i += static_cast<std::size_t>(std::max(c.length, 1));
  }
  return out;
}

}  // namespace

bool is_math_function(std::string_view name) {
  return contains(kFunctions, name);
}

Result<std::vector<MathToken>> lex_math(std::string_view text, CommaReading reading) {
  if (text.size() > kMaxAnswerBytes)
    return Failure{str_cat(text.size(), " bytes, an answer has at most ", kMaxAnswerBytes)};
  return Lexer(narrow_forms(text), reading).run();
}

}  // namespace hadal
