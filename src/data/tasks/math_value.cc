#include "data/tasks/math_value.h"

#include <cmath>
#include <cstdlib>
#include <numbers>

namespace hadal {
namespace {

using Kind = MathNode::Kind;
using Complex = std::complex<double>;

std::optional<Rational> exact_root(const Rational& value, const Rational& index) {
  if (index != *Rational::of(2, 1)) return std::nullopt;
  const auto root = [](std::int64_t n) -> std::int64_t {
    if (n < 0) return -1;
    const auto r = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
    return static_cast<__int128>(r) * r == n ? r : -1;
  };
  const std::int64_t top = root(value.numerator()), bottom = root(value.denominator());
  if (top < 0 || bottom < 0) return std::nullopt;
  return Rational::of(top, bottom);
}

std::optional<Rational> exact_factorial(const Rational& n) {
  if (!n.is_integer() || n.numerator() < 0 || n.numerator() > 20) return std::nullopt;
  __int128 product = 1;
  for (std::int64_t i = 2; i <= n.numerator(); ++i) product *= i;
  return Rational::of(product, 1);
}

bool is_real(const Complex& z) {
  return std::abs(z.imag()) <= 1e-12 * std::max(1.0, std::abs(z));
}

std::optional<Complex> function_value(const std::string& name, const Complex& x) {
  if (name == "sin") return std::sin(x);
  if (name == "cos") return std::cos(x);
  if (name == "tan") return std::tan(x);
  if (name == "cot") return 1.0 / std::tan(x);
  if (name == "sec") return 1.0 / std::cos(x);
  if (name == "csc") return 1.0 / std::sin(x);
  if (name == "arcsin") return std::asin(x);
  if (name == "arccos") return std::acos(x);
  if (name == "arctan") return std::atan(x);
  if (name == "sinh") return std::sinh(x);
  if (name == "cosh") return std::cosh(x);
  if (name == "tanh") return std::tanh(x);
  if (name == "ln" || name == "log") return std::log(x);  // \log_b a is log a / log b; alone it is the natural one
  if (name == "lg") return std::log10(x);
  if (name == "exp") return std::exp(x);
  return std::nullopt;
}

std::optional<Complex> power_value(const Complex& base, const Complex& exponent) {
  if (base == Complex(0)) {
    if (exponent.real() > 0) return Complex(0);
    return exponent == Complex(0) ? std::optional<Complex>(1) : std::nullopt;
  }
  const double n = exponent.real();
  if (is_real(exponent) && n == std::round(n) && std::abs(n) <= 64) return std::pow(base, static_cast<int>(n));
  if (is_real(base) && is_real(exponent) && base.real() > 0) return std::pow(base.real(), n);
  return std::pow(base, exponent);
}

std::optional<Complex> symbol_value(const std::string& name, const MathPoint& point) {
  if (const auto found = point.find(name); found != point.end()) return found->second;
  if (name == "pi") return Complex(std::numbers::pi);
  if (name == "e") return Complex(std::numbers::e);
  if (name == "i") return Complex(0, 1);
  return std::nullopt;
}

std::optional<Complex> combine(const MathNode& n, const Complex& a, const Complex& b) {
  switch (n.kind) {
    case Kind::kNegate:
      return Complex(0) - a;  // -a would have a negative zero, on the other side of cuts
    case Kind::kAdd:
    case Kind::kMixed:
      return a + b;
    case Kind::kMultiply:
      return a * b;
    case Kind::kDivide:
      return b == Complex(0) ? std::nullopt : std::optional<Complex>(a / b);
    case Kind::kPower:
      return power_value(a, b);
    case Kind::kRoot:
      if (b == Complex(0)) return std::nullopt;
      if (b == Complex(2)) return std::sqrt(a);
      // The real root of a negative number, where there is one.
      if (is_real(a) && a.real() < 0 && is_real(b) && std::fmod(std::abs(b.real()), 2.0) == 1.0)
        return -std::pow(-a.real(), 1.0 / b.real());
      return power_value(a, 1.0 / b);
    case Kind::kFunction:
      return function_value(n.text, a);
    case Kind::kFactorial:
      if (!is_real(a) || a.real() < 0 || a.real() != std::round(a.real()) || a.real() > 170) return std::nullopt;
      return std::tgamma(a.real() + 1);
    case Kind::kAbsolute:
      return std::abs(a);
    case Kind::kPercent:
      return a / 100.0;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Rational> exact_value(const MathExpr& expr, int node, MathBudget& budget) {
  if (!budget.spend()) return std::nullopt;
  const MathNode& n = expr.at(node);
  if (n.kind == Kind::kNumber) return n.value;
  if (n.children.empty() || n.children.size() > 2 || n.kind >= Kind::kPlusMinus) return std::nullopt;
  const std::optional<Rational> a = exact_value(expr, n.children[0], budget);
  if (!a) return std::nullopt;
  std::optional<Rational> b;
  if (n.children.size() == 2) {
    b = exact_value(expr, n.children[1], budget);
    if (!b) return std::nullopt;
  }
  switch (n.kind) {
    case Kind::kNegate:
      return -*a;
    case Kind::kAdd:
    case Kind::kMixed:
      return add(*a, *b);
    case Kind::kMultiply:
      return multiply(*a, *b);
    case Kind::kDivide:
      return divide(*a, *b);
    case Kind::kPower:
      return b->is_integer() ? power(*a, b->numerator()) : std::nullopt;
    case Kind::kRoot:
      return exact_root(*a, *b);
    case Kind::kFactorial:
      return exact_factorial(*a);
    case Kind::kAbsolute:
      return a->numerator() < 0 ? -*a : *a;
    case Kind::kPercent:
      return divide(*a, *Rational::of(100, 1));
    default:
      return std::nullopt;
  }
}

void collect_symbols(const MathExpr& expr, int node, std::set<std::string>& symbols) {
  const MathNode& n = expr.at(node);
  if (n.kind == Kind::kSymbol && n.text != "pi" && n.text != "e" && n.text != "i") symbols.insert(n.text);
  for (const int child : n.children) collect_symbols(expr, child, symbols);
}

std::optional<Complex> numeric_value(const MathExpr& expr, int node, const MathPoint& point, MathBudget& budget) {
  if (!budget.spend()) return std::nullopt;
  const MathNode& n = expr.at(node);
  std::optional<Complex> value;
  if (n.kind == Kind::kNumber) {
    value = n.value ? n.value->to_double() : std::strtod(n.text.c_str(), nullptr);
  } else if (n.kind == Kind::kSymbol) {
    value = symbol_value(n.text, point);
  } else if (!n.children.empty() && n.children.size() <= 2) {
    const std::optional<Complex> a = numeric_value(expr, n.children[0], point, budget);
    std::optional<Complex> b = a;
    if (a && n.children.size() == 2) b = numeric_value(expr, n.children[1], point, budget);
    if (a && b) value = combine(n, *a, *b);
  }
  if (value && (!std::isfinite(value->real()) || !std::isfinite(value->imag()))) return std::nullopt;
  return value;
}

}  // namespace hadal
