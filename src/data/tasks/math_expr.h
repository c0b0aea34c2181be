#pragma once
// A final answer of a mathematical task as a tree: numbers, LaTeX, tuples, sets, intervals, matrices, inequalities,
// words. Text comes from a model: length, depth and size are bounded, and nothing here takes more than linear time.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/tasks/rational.h"

namespace hadal {

struct MathNode {
  enum class Kind : std::uint8_t {
    kNumber,     // text: its digits as written; value when it is exact in 64 bits
    kSymbol,     // text: a variable or constant (pi, e, i, inf, x_1)
    kText,       // text: words, in lower case
    kNegate,     // -a
    kAdd,        // a + b (a - b is a + -b)
    kMultiply,   // a b; is_written: with a sign between them
    kDivide,     // a / b
    kPower,      // a ^ b
    kRoot,       // b-th root of a
    kMixed,      // a b/c: a and a fraction
    kFunction,   // text(a)
    kFactorial,  // a!
    kAbsolute,   // |a|
    kPercent,    // a%
    kPlusMinus,  // a +- b, +- a; kMinusPlus: a -+ b
    kMinusPlus,
    kList,      // open ... close: tuple, interval, set ({ }), ratio (:), or without brackets (0)
    kUnion,     // of its children
    kMatrix,    // children are rows, each a kList
    kRelation,  // children between the signs of text: '=' '<' '>' 'L' (<=) 'G' (>=) 'N' (not equal) 'I' (in)
  };
  Kind kind = Kind::kNumber;
  char open = 0, close = 0;
  bool is_written = false;
  std::string text;
  std::optional<Rational> value;
  std::vector<int> children;  // indices of MathExpr::nodes, smaller than the node's own
};

struct MathExpr {
  std::vector<MathNode> nodes;
  int root = -1;
  const MathNode& at(int node) const { return nodes[static_cast<std::size_t>(node)]; }
  /// The i-th child of a node.
  const MathNode& child(const MathNode& node, std::size_t i) const { return at(node.children[i]); }
};

/// What a comma or space between digits means, where 1,234 could be one number or two.
enum class CommaReading : std::uint8_t {
  kList,       // it separates
  kThousands,  // 1,234 and 1 234 are one number
  kDecimal,    // 3,14 is 3.14
};

inline constexpr std::size_t kMaxAnswerBytes = 4096;

/// The tree of an answer such as "\frac12", "x = 3", "(1, 2]", "12 apples". A Failure when it is empty, too long, too
/// deep or no expression.
Result<MathExpr> parse_math(std::string_view text, CommaReading reading = CommaReading::kList);

}  // namespace hadal
