#pragma once
// A parsed template. Nodes live in one Ast and point to each other.
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace hadal::jinja {

enum class ExprKind : std::uint8_t {
  kString,  // text
  kInt,     // integer
  kFloat,   // number
  kBool,    // integer
  kNone,
  kName,       // text
  kList,       // args
  kTuple,      // args
  kDict,       // args: key, value, key, value, ...
  kAttribute,  // args[0] . text
  kItem,       // args[0] [ args[1] ]
  kSlice,      // args[0] [ args[1] : args[2] : args[3] ]; nullptr where nothing stands
  kCall,       // args[0] ( args[1...], keywords )
  kFilter,     // args[0] | text ( args[1...], keywords )
  kTest,       // args[0] is text ( args[1...], keywords )
  kNot,        // args[0]
  kMinus,      // args[0]
  kPlus,       // args[0]
  kAnd,        // args[0], args[1]
  kOr,         // args[0], args[1]
  kBinary,     // args[0] text args[1]; text is + - * / // % **
  kConcat,     // args, joined as text
  kCompare,    // args[0] operators[0] args[1] operators[1] args[2] ...
  kCondition,  // args[0] if args[1] else args[2]; nullptr without else
};

struct Expr {
  ExprKind kind = ExprKind::kNone;
  int line = 0;
  std::string text;
  std::int64_t integer = 0;
  double number = 0;
  std::vector<const Expr*> args;
  std::vector<std::pair<std::string, const Expr*>> keywords;
  std::vector<std::string> operators;
};

enum class StmtKind : std::uint8_t {
  kText,        // text
  kPrint,       // value
  kIf,          // branches: condition (nullptr: else) and body
  kFor,         // target in value [if condition]: branches[0]; else: branches[1] when there is one
  kSet,         // target = value
  kSetBlock,    // target = what branches[0] prints, through `filters`
  kMacro,       // text(parameters): branches[0]
  kFilter,      // what branches[0] prints, through `filters`
  kWith,        // parameters as variables of branches[0]
  kGeneration,  // branches[0]; the text that the model writes
  kBreak,
  kContinue,
};

struct Stmt;
using Body = std::vector<const Stmt*>;

struct Stmt {
  StmtKind kind = StmtKind::kText;
  int line = 0;
  std::string text;
  const Expr *target = nullptr, *value = nullptr, *condition = nullptr;
  const Expr* filters = nullptr;  // filters around a kName "" that stands for the printed text; nullptr: none
  std::vector<std::pair<const Expr*, Body>> branches;
  std::vector<std::pair<std::string, const Expr*>> parameters;  // with their defaults, nullptr: none
};

/// Owns the nodes.
struct Ast {
  std::deque<Expr> exprs;
  std::deque<Stmt> stmts;
  Body body;
};

}  // namespace hadal::jinja
