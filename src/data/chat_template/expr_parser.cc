#include <algorithm>
#include <array>
#include <charconv>

#include "data/chat_template/token_reader.h"

namespace hadal::jinja {

Expr* ExprParser::make(ExprKind kind, std::vector<const Expr*> args) {
  Expr& e = ast_.exprs.emplace_back();
  e.kind = kind;
  e.line = in_.peek().line;
  e.args = std::move(args);
  return &e;
}

const Expr* ExprParser::expression(bool with_condition) {
  const TokenReader::Nesting nesting(in_);
  const Expr* e = disjunction();
  while (with_condition && in_.take_name("if")) {
    const Expr* condition = disjunction();
    const Expr* otherwise = in_.take_name("else") ? expression() : nullptr;
    e = make(ExprKind::kCondition, {e, condition, otherwise});
  }
  return e;
}

const Expr* ExprParser::disjunction() {
  const Expr* e = conjunction();
  while (in_.take_name("or")) e = make(ExprKind::kOr, {e, conjunction()});
  return e;
}

const Expr* ExprParser::conjunction() {
  const Expr* e = negation();
  while (in_.take_name("and")) e = make(ExprKind::kAnd, {e, negation()});
  return e;
}

const Expr* ExprParser::negation() {
  if (!in_.take_name("not")) return comparison();
  const TokenReader::Nesting nesting(in_);
  return make(ExprKind::kNot, {negation()});
}

const Expr* ExprParser::comparison() {
  constexpr std::array<std::string_view, 6> kSigns = {"==", "!=", "<", "<=", ">", ">="};
  const Expr* first = sum();
  Expr* compare = nullptr;
  while (true) {
    std::string op;
    if (in_.is(TokenKind::kSign) && std::find(kSigns.begin(), kSigns.end(), in_.peek().text) != kSigns.end()) {
      op = in_.next().text;
    } else if (in_.take_name("in")) {
      op = "in";
    } else if (in_.is_name("not") && in_.peek(1).kind == TokenKind::kName && in_.peek(1).text == "in") {
      in_.next();
      in_.next();
      op = "not in";
    } else {
      return compare == nullptr ? first : compare;
    }
    if (compare == nullptr) compare = make(ExprKind::kCompare, {first});
    compare->operators.push_back(op);
    compare->args.push_back(sum());
  }
}

const Expr* ExprParser::binary(const Expr* left, const Expr* right, std::string sign) {
  Expr* e = make(ExprKind::kBinary, {left, right});
  e->text = std::move(sign);
  return e;
}

const Expr* ExprParser::sum() {
  const Expr* e = concat();
  while (in_.is_sign("+") || in_.is_sign("-")) {
    const std::string sign = in_.next().text;
    e = binary(e, concat(), sign);
  }
  return e;
}

const Expr* ExprParser::concat() {
  const Expr* first = product();
  if (!in_.is_sign("~")) return first;
  Expr* e = make(ExprKind::kConcat, {first});
  while (in_.take_sign("~")) e->args.push_back(product());
  return e;
}

const Expr* ExprParser::product() {
  const Expr* e = power();
  while (in_.is_sign("*") || in_.is_sign("/") || in_.is_sign("//") || in_.is_sign("%")) {
    const std::string sign = in_.next().text;
    e = binary(e, power(), sign);
  }
  return e;
}

const Expr* ExprParser::power() {
  const Expr* e = unary(true);
  while (in_.take_sign("**")) e = binary(e, unary(true), "**");
  return e;
}

const Expr* ExprParser::unary(bool with_filter) {
  const TokenReader::Nesting nesting(in_);
  const Expr* e = nullptr;
  if (in_.take_sign("-")) {
    e = make(ExprKind::kMinus, {unary(false)});
  } else if (in_.take_sign("+")) {
    e = make(ExprKind::kPlus, {unary(false)});
  } else {
    e = primary();
  }
  e = postfix(e);
  return with_filter ? filters_and_tests(e) : e;
}

const Expr* ExprParser::primary() {
  if (in_.is(TokenKind::kName)) return name();
  if (in_.is(TokenKind::kInt) || in_.is(TokenKind::kFloat)) return number();
  if (in_.is(TokenKind::kString)) {
    Expr* e = make(ExprKind::kString);
    while (in_.is(TokenKind::kString)) e->text += in_.next().text;
    return e;
  }
  if (in_.take_sign("(")) {
    const Expr* e = in_.is_sign(")") ? make(ExprKind::kTuple) : tuple();
    in_.want_sign(")");
    return e;
  }
  if (in_.take_sign("[")) return list();
  if (in_.take_sign("{")) return dict();
  in_.error("want an expression, got ", TokenReader::shown(in_.peek()));
}

const Expr* ExprParser::name() {
  std::string text = in_.next().text;
  if (text == "none" || text == "None") return make(ExprKind::kNone);
  const bool yes = text == "true" || text == "True";
  if (yes || text == "false" || text == "False") {
    Expr* e = make(ExprKind::kBool);
    e->integer = yes ? 1 : 0;
    return e;
  }
  Expr* e = make(ExprKind::kName);
  e->text = std::move(text);
  return e;
}

const Expr* ExprParser::list() {
  Expr* e = make(ExprKind::kList);
  while (!in_.take_sign("]")) {
    if (!e->args.empty()) in_.want_sign(",");
    if (in_.take_sign("]")) break;
    e->args.push_back(expression());
  }
  return e;
}

const Expr* ExprParser::number() {
  const Token token = in_.next();
  const bool whole = token.kind == TokenKind::kInt;
  Expr* e = make(whole ? ExprKind::kInt : ExprKind::kFloat);
  const char *begin = token.text.data(), *end = begin + token.text.size();
  const std::errc problem =
      whole ? std::from_chars(begin, end, e->integer).ec : std::from_chars(begin, end, e->number).ec;
  if (problem != std::errc()) in_.error("the number ", token.text, " is out of range");
  return e;
}

const Expr* ExprParser::dict() {
  Expr* e = make(ExprKind::kDict);
  while (!in_.take_sign("}")) {
    if (!e->args.empty()) in_.want_sign(",");
    if (in_.take_sign("}")) break;
    e->args.push_back(expression());
    in_.want_sign(":");
    e->args.push_back(expression());
  }
  return e;
}

const Expr* ExprParser::postfix(const Expr* e) {
  while (true) {
    if (in_.take_sign(".")) {
      if (in_.is(TokenKind::kInt)) {
        e = make(ExprKind::kItem, {e, primary()});
      } else {
        Expr* attribute = make(ExprKind::kAttribute, {e});
        attribute->text = in_.want_name();
        e = attribute;
      }
    } else if (in_.take_sign("[")) {
      e = subscript(e);
    } else if (in_.is_sign("(")) {
      e = call(e);
    } else {
      return e;
    }
  }
}

const Expr* ExprParser::subscript(const Expr* e) {
  std::array<const Expr*, 3> parts{};
  std::size_t count = 0;
  bool slice = false;
  while (!in_.is_sign("]")) {
    if (in_.take_sign(":")) {
      slice = true;
      if (++count > 2) in_.error("a slice has at most three parts");
    } else {
      if (parts[count] != nullptr) in_.error("want ], got ", TokenReader::shown(in_.peek()));
      parts[count] = expression();
    }
  }
  in_.want_sign("]");
  if (slice) return make(ExprKind::kSlice, {e, parts[0], parts[1], parts[2]});
  if (parts[0] == nullptr) in_.error("want an expression, got ]");
  return make(ExprKind::kItem, {e, parts[0]});
}

void ExprParser::call_arguments(Expr& call) {
  in_.want_sign("(");
  bool first = true;
  while (!in_.take_sign(")")) {
    if (!first) in_.want_sign(",");
    if (in_.take_sign(")")) break;
    first = false;
    if (in_.is_sign("*") || in_.is_sign("**")) in_.error("* and ** in a call are not supported");
    if (in_.is(TokenKind::kName) && in_.peek(1).kind == TokenKind::kSign && in_.peek(1).text == "=") {
      std::string name = in_.next().text;
      in_.next();
      call.keywords.emplace_back(std::move(name), expression());
    } else {
      if (!call.keywords.empty()) in_.error("an argument without a name follows one with a name");
      call.args.push_back(expression());
    }
  }
}

const Expr* ExprParser::call(const Expr* e) {
  Expr* result = make(ExprKind::kCall, {e});
  call_arguments(*result);
  return result;
}

const Expr* ExprParser::filters_and_tests(const Expr* e) {
  while (true) {
    if (in_.take_sign("|")) {
      e = filter(e);
    } else if (in_.take_name("is")) {
      e = test(e);
    } else if (in_.is_sign("(")) {
      e = call(e);
    } else {
      return e;
    }
  }
}

const Expr* ExprParser::filter(const Expr* e) {
  Expr* f = make(ExprKind::kFilter, {e});
  f->text = in_.want_name();
  while (in_.take_sign(".")) f->text += "." + in_.want_name();
  if (in_.is_sign("(")) call_arguments(*f);
  return f;
}

const Expr* ExprParser::test(const Expr* e) {
  const bool negated = in_.take_name("not");
  Expr* t = make(ExprKind::kTest, {e});
  t->text = in_.want_name();
  while (in_.take_sign(".")) t->text += "." + in_.want_name();
  const Token& token = in_.peek();
  const bool stops =
      token.kind == TokenKind::kName && (token.text == "else" || token.text == "or" || token.text == "and");
  const bool argument = token.kind == TokenKind::kString || token.kind == TokenKind::kInt ||
                        token.kind == TokenKind::kFloat || in_.is_sign("[") || in_.is_sign("{") ||
                        (token.kind == TokenKind::kName && token.text != "if" && token.text != "is" &&
                         token.text != "in" && token.text != "not" && token.text != "recursive");
  if (in_.is_sign("(")) {
    call_arguments(*t);
  } else if (argument && !stops) {
    t->args.push_back(postfix(primary()));
  }
  return negated ? make(ExprKind::kNot, {t}) : t;
}

bool ExprParser::tuple_ends() const {
  return in_.is(TokenKind::kPrintEnd) || in_.is(TokenKind::kBlockEnd) || in_.is_sign(")") || in_.is_sign("=") ||
         in_.is_name("in") || in_.is_name("if") || in_.is_name("recursive") || in_.is(TokenKind::kEnd);
}

const Expr* ExprParser::tuple(bool with_condition) {
  const Expr* first = expression(with_condition);
  if (!in_.is_sign(",")) return first;
  Expr* e = make(ExprKind::kTuple, {first});
  while (in_.take_sign(",") && !tuple_ends()) e->args.push_back(expression(with_condition));
  return e;
}

const Expr* ExprParser::target(bool with_attribute) {
  const auto one = [&]() -> const Expr* {
    const TokenReader::Nesting nesting(in_);
    if (in_.take_sign("(")) {
      const Expr* inner = target(false);
      in_.want_sign(")");
      return inner;
    }
    Expr* e = make(ExprKind::kName);
    e->text = in_.want_name();
    return e;
  };
  const Expr* first = one();
  if (with_attribute && first->kind == ExprKind::kName && in_.take_sign(".")) {
    Expr* e = make(ExprKind::kAttribute, {first});
    e->text = in_.want_name();
    return e;
  }
  if (!in_.is_sign(",")) return first;
  Expr* e = make(ExprKind::kTuple, {first});
  while (in_.take_sign(",") && !tuple_ends()) e->args.push_back(one());
  return e;
}

const Expr* ExprParser::block_filters(bool bar_first) {
  if (bar_first && !in_.is_sign("|")) return nullptr;
  const Expr* e = make(ExprKind::kName);
  if (!bar_first) e = filter(e);
  while (in_.take_sign("|")) e = filter(e);
  return e;
}

std::vector<std::pair<std::string, const Expr*>> ExprParser::parameters() {
  std::vector<std::pair<std::string, const Expr*>> result;
  in_.want_sign("(");
  while (!in_.take_sign(")")) {
    if (!result.empty()) in_.want_sign(",");
    if (in_.take_sign(")")) break;
    std::string name = in_.want_name();
    const Expr* fallback = in_.take_sign("=") ? expression() : nullptr;
    if (fallback == nullptr && !result.empty() && result.back().second != nullptr)
      in_.error("a parameter without a default follows one with a default");
    result.emplace_back(std::move(name), fallback);
  }
  return result;
}

}  // namespace hadal::jinja
