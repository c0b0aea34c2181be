#pragma once
// Values of answers: exact fractions where possible, complex numbers at given points otherwise.
#include <complex>
#include <map>
#include <set>

#include "data/tasks/math_expr.h"

namespace hadal {

/// How many nodes may still be visited; what exceeds it has no value. Keeps hostile answers cheap, the same everywhere.
struct MathBudget {
  int operations = 20000;
  bool spend() { return operations-- > 0; }
};

/// The exact value; nothing when it is no fraction of 64 bits (roots, symbols, overflow, division by 0).
std::optional<Rational> exact_value(const MathExpr& expr, int node, MathBudget& budget);

/// Variables, constants aside.
void collect_symbols(const MathExpr& expr, int node, std::set<std::string>& symbols);

using MathPoint = std::map<std::string, std::complex<double>>;

/// The value where the variables have the values of `point`. Nothing when it is not finite or not defined.
std::optional<std::complex<double>> numeric_value(const MathExpr& expr, int node, const MathPoint& point,
                                                  MathBudget& budget);

}  // namespace hadal
