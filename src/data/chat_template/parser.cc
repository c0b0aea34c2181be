#include "data/chat_template/parser.h"

#include <algorithm>
#include <initializer_list>

#include "base/utf8.h"
#include "data/chat_template/token_reader.h"

namespace hadal::jinja {
namespace {

constexpr std::size_t kMaxSourceBytes = std::size_t{1} << 20;

class Parser {
 public:
  Parser(std::string_view source, std::string_view where)
      : ast_(std::make_unique<Ast>()), in_(source, where), exprs_(in_, *ast_) {}

  std::unique_ptr<const Ast> run() {
    ast_->body = body({});
    return std::move(ast_);
  }

 private:
  Stmt& make(StmtKind kind) {
    Stmt& s = ast_->stmts.emplace_back();
    s.kind = kind;
    s.line = in_.peek().line;
    return s;
  }
  void end_tag() {
    if (!in_.is(TokenKind::kBlockEnd)) in_.error("want %}, got ", TokenReader::shown(in_.peek()));
    in_.next();
  }

  /// Statements up to a tag with one of these names, which is left to be read; all of the template when there are none.
  Body body(std::initializer_list<std::string_view> ends) {
    const TokenReader::Nesting nesting(in_);
    Body result;
    while (true) {
      if (in_.is(TokenKind::kEnd)) {
        if (ends.size() == 0) return result;
        in_.error("the template ends where {% ", *(ends.end() - 1), " %} is wanted");
      } else if (in_.is(TokenKind::kText)) {
        Stmt& s = make(StmtKind::kText);
        s.text = in_.next().text;
        result.push_back(&s);
      } else if (in_.is(TokenKind::kPrintBegin)) {
        in_.next();
        Stmt& s = make(StmtKind::kPrint);
        s.value = exprs_.tuple();
        if (!in_.is(TokenKind::kPrintEnd)) in_.error("want }}, got ", TokenReader::shown(in_.peek()));
        in_.next();
        result.push_back(&s);
      } else {
        in_.next();  // {%
        if (!in_.is(TokenKind::kName)) in_.error("want the name of a tag, got ", TokenReader::shown(in_.peek()));
        if (std::find(ends.begin(), ends.end(), in_.peek().text) != ends.end()) return result;
        result.push_back(statement());
      }
    }
  }

  const Stmt* statement() {
    const std::string name = in_.peek().text;
    if (name == "if") return if_block();
    if (name == "for") return for_block();
    if (name == "set") return set();
    if (name == "macro") return macro();
    if (name == "with") return with();
    if (name == "filter") return filter_block();
    if (name == "generation") return generation();
    if (name == "break" || name == "continue") {
      if (loops_ == 0) in_.error(name, " outside of a loop");
      Stmt& s = make(name == "break" ? StmtKind::kBreak : StmtKind::kContinue);
      in_.next();
      end_tag();
      return &s;
    }
    in_.error("the tag \"", name, "\" is unknown, not supported or not open");
  }

  /// Reads the name of an end tag and its %}.
  void close() {
    in_.next();
    end_tag();
  }

  const Stmt* if_block() {
    Stmt& s = make(StmtKind::kIf);
    while (true) {
      const std::string tag = in_.next().text;
      const Expr* condition = tag == "else" ? nullptr : exprs_.tuple(false);
      end_tag();
      Body inner = condition == nullptr ? body({"endif"}) : body({"elif", "else", "endif"});
      s.branches.emplace_back(condition, std::move(inner));
      if (!in_.is_name("endif")) continue;
      close();
      return &s;
    }
  }

  const Stmt* for_block() {
    Stmt& s = make(StmtKind::kFor);
    in_.next();
    s.target = exprs_.target(false);
    if (!in_.take_name("in")) in_.error("want in, got ", TokenReader::shown(in_.peek()));
    s.value = exprs_.tuple(false);
    if (in_.take_name("if")) s.condition = exprs_.expression();
    if (in_.is_name("recursive")) in_.error("recursive loops are not supported");
    end_tag();
    ++loops_;
    s.branches.emplace_back(nullptr, body({"else", "endfor"}));
    --loops_;
    if (in_.is_name("else")) {
      close();
      s.branches.emplace_back(nullptr, body({"endfor"}));
    }
    close();
    return &s;
  }

  const Stmt* set() {
    Stmt& s = make(StmtKind::kSet);
    in_.next();
    s.target = exprs_.target(true);
    if (in_.take_sign("=")) {
      s.value = exprs_.tuple();
      end_tag();
      return &s;
    }
    s.kind = StmtKind::kSetBlock;
    s.filters = exprs_.block_filters(true);
    end_tag();
    s.branches.emplace_back(nullptr, body({"endset"}));
    close();
    return &s;
  }

  const Stmt* macro() {
    Stmt& s = make(StmtKind::kMacro);
    in_.next();
    s.text = in_.want_name();
    s.parameters = exprs_.parameters();
    end_tag();
    const int outer = std::exchange(loops_, 0);
    s.branches.emplace_back(nullptr, body({"endmacro"}));
    loops_ = outer;
    close();
    return &s;
  }

  const Stmt* with() {
    Stmt& s = make(StmtKind::kWith);
    in_.next();
    while (!in_.is(TokenKind::kBlockEnd)) {
      if (!s.parameters.empty()) in_.want_sign(",");
      std::string name = in_.want_name();
      in_.want_sign("=");
      s.parameters.emplace_back(std::move(name), exprs_.expression());
    }
    end_tag();
    s.branches.emplace_back(nullptr, body({"endwith"}));
    close();
    return &s;
  }

  const Stmt* filter_block() {
    Stmt& s = make(StmtKind::kFilter);
    in_.next();
    s.filters = exprs_.block_filters(false);
    end_tag();
    s.branches.emplace_back(nullptr, body({"endfilter"}));
    close();
    return &s;
  }

  const Stmt* generation() {
    Stmt& s = make(StmtKind::kGeneration);
    in_.next();
    end_tag();
    s.branches.emplace_back(nullptr, body({"endgeneration"}));
    close();
    return &s;
  }

  std::unique_ptr<Ast> ast_;
  TokenReader in_;
  ExprParser exprs_;
  int loops_ = 0;
};

}  // namespace

std::unique_ptr<const Ast> parse_template(std::string_view source, std::string_view where) {
  HADAL_CHECK(source.size() <= kMaxSourceBytes, where, ": a template of ", source.size(), " bytes, want at most ",
              kMaxSourceBytes);
  const std::size_t good = well_formed_prefix(source);
  HADAL_CHECK(good == source.size(), where, ": byte ", good, " is not UTF-8");
  return Parser(source, where).run();
}

}  // namespace hadal::jinja
