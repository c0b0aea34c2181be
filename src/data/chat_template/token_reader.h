#pragma once
// What both halves of the parser share: the place in the tokens, and limits.
#include <string>
#include <utility>

#include "base/error.h"
#include "data/chat_template/ast.h"
#include "data/chat_template/lexer.h"

namespace hadal::jinja {

class TokenReader {
 public:
  TokenReader(std::string_view source, std::string_view where)
      : where_(where), tokens_(tokenize_template(source, where)) {}

  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }

  bool is(TokenKind kind) const { return peek().kind == kind; }
  bool is(TokenKind kind, std::string_view text) const { return peek().kind == kind && peek().text == text; }
  bool is_sign(std::string_view sign) const { return is(TokenKind::kSign, sign); }
  bool is_name(std::string_view name) const { return is(TokenKind::kName, name); }
  bool take_sign(std::string_view sign) { return is_sign(sign) && (next(), true); }
  bool take_name(std::string_view name) { return is_name(name) && (next(), true); }
  void want_sign(std::string_view sign) {
    if (!take_sign(sign)) error("want ", sign, ", got ", shown(peek()));
  }
  std::string want_name() {
    if (!is(TokenKind::kName)) error("want a name, got ", shown(peek()));
    return next().text;
  }

  template <class... Parts>
  [[noreturn]] void error(const Parts&... parts) const {
    fail(where_, ":", peek().line, ": ", parts...);
  }

  static std::string shown(const Token& token) {
    switch (token.kind) {
      case TokenKind::kText:
        return "text";
      case TokenKind::kPrintBegin:
        return "{{";
      case TokenKind::kPrintEnd:
        return "}}";
      case TokenKind::kBlockBegin:
        return "{%";
      case TokenKind::kBlockEnd:
        return "%}";
      case TokenKind::kEnd:
        return "the end of the template";
      case TokenKind::kString:
        return "a string";
      default:
        return token.text;
    }
  }

  /// Counts nesting while it lives. Throws Error when it is too deep: the parser is recursive.
  class Nesting {
   public:
    explicit Nesting(TokenReader& reader) : reader_(reader) {
      if (++reader_.depth_ > kMaxDepth) reader_.error("nested deeper than ", kMaxDepth);
    }
    ~Nesting() { --reader_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    static constexpr int kMaxDepth = 150;
    TokenReader& reader_;
  };

 private:
  std::string where_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

/// The expressions of Jinja, by its precedences: condition, or, and, not, compare, + -, ~, * / // %, **, unary,
/// postfix, filters and tests.
class ExprParser {
 public:
  ExprParser(TokenReader& reader, Ast& ast) : in_(reader), ast_(ast) {}

  /// One expression. `with_condition`: "a if b" is one.
  const Expr* expression(bool with_condition = true);
  /// One expression, or several with commas, which are a tuple.
  const Expr* tuple(bool with_condition = true);
  /// A name, names with commas (perhaps in brackets), or with_attribute: name.name.
  const Expr* target(bool with_attribute);
  /// "| filter ..." behind the text of a block; an empty name stands for the text. nullptr when none follows.
  const Expr* block_filters(bool bar_first);
  /// (a, b=1): parameters of a macro.
  std::vector<std::pair<std::string, const Expr*>> parameters();

 private:
  Expr* make(ExprKind kind, std::vector<const Expr*> args = {});
  const Expr* disjunction();
  const Expr* conjunction();
  const Expr* negation();
  const Expr* comparison();
  const Expr* sum();
  const Expr* concat();
  const Expr* product();
  const Expr* power();
  const Expr* unary(bool with_filter);
  const Expr* primary();
  const Expr* number();
  const Expr* name();
  const Expr* list();
  const Expr* postfix(const Expr* e);
  const Expr* filters_and_tests(const Expr* e);
  const Expr* filter(const Expr* e);
  const Expr* test(const Expr* e);
  const Expr* subscript(const Expr* e);
  const Expr* dict();
  const Expr* call(const Expr* e);
  void call_arguments(Expr& call);
  const Expr* binary(const Expr* left, const Expr* right, std::string sign);
  bool tuple_ends() const;

  TokenReader& in_;
  Ast& ast_;
};

}  // namespace hadal::jinja
