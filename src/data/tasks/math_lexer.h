#pragma once
// Characters and LaTeX commands -> tokens of a mathematical answer.
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/tasks/math_expr.h"

namespace hadal {

struct MathToken {
  // 'n' number, 'a' symbol or function, 'w' word or unit, 'F' fraction, 'R' root, 'S' 's' \{ \}, 'B' 'E' matrix, 'r'
  // new row, 'o' overline, 'd' degree, 'P' 'M' plus-minus, 'U' union, 'L' 'G' 'N' 'I' relations (math_expr.h), 0 the
  // end; anything else stands for itself: + - * / ^ _ ! % ( ) [ ] { } , | = < > & :
  char kind = 0;
  std::string text;
  bool space = false;  // white space stood before it
};

/// Tokens, the end last. Dollar signs, \left, \right, spaces of TeX and currency signs are gone. A Failure for
/// characters and commands that mean nothing in an answer.
Result<std::vector<MathToken>> lex_math(std::string_view text, CommaReading reading);

/// sin, log, ...
bool is_math_function(std::string_view name);

}  // namespace hadal
