#include "data/tasks/math_expr.h"

#include <algorithm>

#include "data/tasks/math_lexer.h"

namespace hadal {
namespace {

constexpr int kMaxDepth = 48;
constexpr std::size_t kMaxNodes = 1000;  // bounds the depth of long chains, too
using Kind = MathNode::Kind;

// What is no expression; caught in parse_math.
struct Refusal {
  std::string why;
};

// Recursive descent: list < union < relation < ratio < sum < product < sign < power < primary.
class Parser {
 public:
  explicit Parser(std::vector<MathToken> tokens) : tokens_(std::move(tokens)) {}

  MathExpr run() {
    expr_.root = list();
    if (peek() != 0) refuse("the expression goes on where it should end");
    return std::move(expr_);
  }

 private:
  [[noreturn]] static void refuse(std::string why) { throw Refusal{std::move(why)}; }

  const MathToken& token(std::size_t offset = 0) const { return tokens_[std::min(at_ + offset, tokens_.size() - 1)]; }
  char peek(std::size_t offset = 0) const { return token(offset).kind; }
  bool accept(char kind) {
    if (peek() != kind) return false;
    ++at_;
    return true;
  }
  void expect(char kind) {
    if (!accept(kind)) refuse(str_cat("want ", kind));
  }

  int add(MathNode node) {
    if (expr_.nodes.size() >= kMaxNodes) refuse("too many parts");
    expr_.nodes.push_back(std::move(node));
    return static_cast<int>(expr_.nodes.size()) - 1;
  }
  int add(Kind kind, std::vector<int> children, std::string text = {}) {
    return add({.kind = kind, .text = std::move(text), .children = std::move(children)});
  }
  int number(const std::string& digits) {
    return add({.kind = Kind::kNumber, .text = digits, .value = Rational::from_decimal(digits)});
  }
  const MathNode& node(int index) const { return expr_.at(index); }

  // Counts the nesting for as long as it lives.
  class Deeper {
   public:
    explicit Deeper(int& depth) : depth_(depth) {
      if (++depth_ > kMaxDepth) refuse("too deep");
    }
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    int& depth_;
  };

  // a, b, c: one item is itself, several are a list without brackets.
  int list() {
    std::vector<int> items{united()};
    while (accept(',')) {
      while (accept(',')) {  // "1, and 2"
      }
      items.push_back(united());
    }
    return items.size() == 1 ? items[0] : add(Kind::kList, std::move(items));
  }

  int united() {
    std::vector<int> parts{relation()};
    while (accept('U')) parts.push_back(relation());
    return parts.size() == 1 ? parts[0] : add(Kind::kUnion, std::move(parts));
  }

  int relation() {
    std::vector<int> sides{ratio()};
    std::string signs;
    while (std::string_view("=<>LGNI").find(peek()) != std::string_view::npos && peek() != 0) {
      signs += tokens_[at_++].kind;
      sides.push_back(ratio());
    }
    return signs.empty() ? sides[0] : add(Kind::kRelation, std::move(sides), std::move(signs));
  }

  int ratio() {
    std::vector<int> parts{sum()};
    while (accept(':')) parts.push_back(sum());
    if (parts.size() == 1) return parts[0];
    return add({.kind = Kind::kList, .open = ':', .close = ':', .children = std::move(parts)});
  }

  int sum() {
    const Deeper deeper(depth_);
    int left;
    if (accept('P')) {
      left = add(Kind::kPlusMinus, {product()});
    } else if (accept('M')) {
      left = add(Kind::kMinusPlus, {product()});
    } else {
      left = product();
    }
    while (true) {
      if (accept('+')) {
        left = add(Kind::kAdd, {left, product()});
      } else if (accept('-')) {
        const int right = product();
        left = add(Kind::kAdd, {left, add(Kind::kNegate, {right})});
      } else if (accept('P')) {
        left = add(Kind::kPlusMinus, {left, product()});
      } else if (accept('M')) {
        left = add(Kind::kMinusPlus, {left, product()});
      } else {
        return left;
      }
    }
  }

  bool begins_primary() const {
    switch (peek()) {
      case 'a':
      case 'F':
      case 'R':
      case '(':
      case '{':
        return true;
      default:
        return false;
    }
  }

  int product() {
    int left = signed_power();
    while (true) {
      skip_units();
      if (accept('*')) {
        left = add({.kind = Kind::kMultiply, .is_written = true, .children = {left, signed_power()}});
      } else if (accept('/')) {
        left = add(Kind::kDivide, {left, signed_power()});
      } else if (begins_primary()) {
        left = add(Kind::kMultiply, {left, power()});
      } else {
        return left;
      }
    }
  }

  int signed_power() {
    const Deeper deeper(depth_);
    if (accept('-')) return add(Kind::kNegate, {signed_power()});
    if (accept('+')) return signed_power();
    return power();
  }

  // Words behind a value say what it counts or measures: 5 cm^2, 60 km/h, 3 apples.
  void skip_units() {
    while (true) {
      if (peek() == 'w') {
        ++at_;
        if (peek() == '/' && peek(1) == 'a') at_ += 2;  // h
        if (peek() == '^' && peek(1) == 'n')
          at_ += 2;
        else if (peek() == '^' && peek(1) == '{' && peek(2) == 'n' && peek(3) == '}')
          at_ += 4;
      } else if (peek() == '/' && peek(1) == 'w') {
        ++at_;
      } else {
        return;
      }
    }
  }

  int power() {
    const Deeper deeper(depth_);
    int base = primary();
    while (true) {
      if (peek() == 'd') {  // degrees count as plain numbers
        ++at_;
      } else if (peek() == '^' && peek(1) == 'd') {
        at_ += 2;
      } else if (peek() == '^' && peek(1) == '{' && peek(2) == 'd' && peek(3) == '}') {
        at_ += 4;
      } else if (accept('!')) {
        base = add(Kind::kFactorial, {base});
      } else if (accept('%')) {
        base = add(Kind::kPercent, {base});
      } else if (accept('^')) {
        base = add(Kind::kPower, {base, exponent()});
      } else {
        return base;
      }
    }
  }

  // 2^10 is written without braces by people, x^{10} by LaTeX.
  int exponent() {
    const Deeper deeper(depth_);
    if (accept('-')) return add(Kind::kNegate, {exponent()});
    if (peek() == '{') return group();
    return primary();
  }

  int group() {
    expect('{');
    const int inner = list();
    expect('}');
    return inner;
  }

  // What a command of LaTeX takes: a group, or one digit or symbol.
  int argument() {
    const Deeper deeper(depth_);
    if (peek() == '{') return group();
    if (peek() == 'n') {
      MathToken& t = tokens_[at_];
      const std::string digit = t.text.substr(0, 1);
      if (digit == ".") refuse("a point as an argument");
      if (t.text.size() == 1)
        ++at_;
      else
        t.text.erase(0, 1);
      return number(digit);
    }
    return primary();
  }

  int primary() {
    const Deeper deeper(depth_);
    switch (peek()) {
      case 'n':
        return numeral();
      case 'a':
        return symbol();
      case 'w':
        return words();
      case 'F':
        return fraction();
      case 'R':
        return root();
      case 'B':
        return matrix();
      case '(':
      case '[':
      case 'S':
        return bracketed();
      case '{': {
        ++at_;
        const int inner = list();
        expect('}');
        // {1, 2} in plain text is a set.
        MathNode& n = expr_.nodes[static_cast<std::size_t>(inner)];
        if (n.kind == Kind::kList && n.open == 0) n.open = '{', n.close = '}';
        return inner;
      }
      case '|': {
        ++at_;
        const int inner = sum();
        expect('|');
        return add(Kind::kAbsolute, {inner});
      }
      default:
        refuse("an operand is missing");
    }
  }

  int numeral() {
    MathToken& t = tokens_[at_];
    const std::string digits = t.text;
    ++at_;
    if (peek() == 'o') return repeating(digits);
    if (peek() == '_') return with_subscript(digits);
    const bool whole = digits.find('.') == std::string::npos;
    const int value = number(digits);
    if (!whole) return value;
    // 1\frac12; 1 1/2. Neither is a product.
    if (peek() == 'F' && mixed_follows()) return add(Kind::kMixed, {value, fraction()});
    if (peek() == 'n' && token().space && peek(1) == '/' && peek(2) == 'n') {
      const int top = number(token().text), bottom = number(token(2).text);
      at_ += 3;
      return add(Kind::kMixed, {value, add(Kind::kDivide, {top, bottom})});
    }
    return value;
  }

  // A fraction of two numbers.
  bool mixed_follows() const {
    std::size_t i = 1;
    const auto number_at = [&] {
      if (peek(i) == 'n') return ++i, true;
      if (peek(i) == '{' && peek(i + 1) == 'n' && peek(i + 2) == '}') return i += 3, true;
      return false;
    };
    if (!number_at()) return false;
    // \frac12 is one token of two digits.
    return (peek(1) == 'n' && token(1).text.size() >= 2) || number_at();
  }

  // 0.1\overline{6}
  int repeating(const std::string& digits) {
    expect('o');
    std::string period;
    if (accept('{')) {
      period = token().text;
      expect('n');
      expect('}');
    } else {
      period = token().text;
      expect('n');
    }
    if (digits.find('.') == std::string::npos || period.find('.') != std::string::npos)
      refuse("a period without a point");
    return add({.kind = Kind::kNumber,
                .text = str_cat(digits, "(", period, ")"),
                .value = Rational::from_decimal(digits, period)});
  }

  // x_1, 101_2: one name.
  int with_subscript(std::string name) {
    expect('_');
    const bool braced = accept('{');
    if (peek() != 'n' && peek() != 'a' && peek() != 'w') refuse("a subscript that is no name");
    name += "_" + tokens_[at_++].text;
    if (braced) expect('}');
    return add(Kind::kSymbol, {}, std::move(name));
  }

  int symbol() {
    const std::string name = tokens_[at_++].text;
    if (!is_math_function(name)) return peek() == '_' ? with_subscript(name) : add(Kind::kSymbol, {}, name);
    int raised = -1;
    if (accept('^')) raised = argument();  // \sin^2 x
    int base = -1;
    if (accept('_')) base = argument();  // \log_2 8
    // The argument ends before the next sign: \sin 2x + 1.
    int argument = power();
    while (peek() == 'a' && !is_math_function(token().text)) argument = add(Kind::kMultiply, {argument, power()});
    int value = add(Kind::kFunction, {argument}, name);
    if (base >= 0) value = add(Kind::kDivide, {value, add(Kind::kFunction, {base}, name)});
    return raised < 0 ? value : add(Kind::kPower, {value, raised});
  }

  int words() {
    std::string text;
    while (peek() == 'w' || peek() == 'n' || (peek() == 'a' && token().text.size() == 1))
      text += (text.empty() ? "" : " ") + tokens_[at_++].text;
    return add(Kind::kText, {}, std::move(text));
  }

  int fraction() {
    expect('F');
    const int top = argument();
    return add(Kind::kDivide, {top, argument()});
  }

  int root() {
    expect('R');
    int index = -1;
    if (accept('[')) {
      index = sum();
      expect(']');
    }
    // \sqrt3 takes a digit, as LaTeX does; people who write sqrt 12 use braces or brackets.
    const int radicand = argument();
    return add(Kind::kRoot, {radicand, index < 0 ? number("2") : index});
  }

  int bracketed() {
    const char open = tokens_[at_++].kind;
    if (open == 'S' && accept('s')) return add({.kind = Kind::kList, .open = '{', .close = '}'});
    const int inner = list();
    const char close = peek();
    if (open == 'S') {
      expect('s');
    } else if (!accept(')')) {
      expect(']');
    }
    if (open == '(' && close == ')' && !(node(inner).kind == Kind::kList && node(inner).open == 0)) return inner;
    MathNode list_node{.kind = Kind::kList, .open = open == 'S' ? '{' : open, .close = open == 'S' ? '}' : close};
    if (node(inner).kind == Kind::kList && node(inner).open == 0)
      list_node.children = node(inner).children;
    else
      list_node.children = {inner};
    return add(std::move(list_node));
  }

  int matrix() {
    expect('B');
    std::vector<int> rows;
    do {
      if (peek() == 'E') break;  // a last \\ before the end
      std::vector<int> cells{sum()};
      while (accept('&')) cells.push_back(sum());
      rows.push_back(add(Kind::kList, std::move(cells)));
    } while (accept('r'));
    expect('E');
    return add(Kind::kMatrix, std::move(rows));
  }

  std::vector<MathToken> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  MathExpr expr_;
};

}  // namespace

Result<MathExpr> parse_math(std::string_view text, CommaReading reading) {
  Result<std::vector<MathToken>> tokens = lex_math(text, reading);
  if (!tokens) return Failure{tokens.message()};
  if (tokens.value().size() == 1) return Failure{"an empty answer"};
  try {
    return Parser(std::move(tokens).value()).run();
  } catch (const Refusal& refusal) {
    return Failure{refusal.why};
  }
}

}  // namespace hadal
