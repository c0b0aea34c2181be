#include <algorithm>
#include <array>
#include <cmath>

#include "data/tasks/math_answer.h"
#include "data/tasks/math_value.h"

namespace hadal {
namespace {

using Kind = MathNode::Kind;
using Complex = std::complex<double>;

// A node of a tree.
struct Term {
  const MathExpr* expr;
  int node;
  const MathNode& operator*() const { return expr->at(node); }
  const MathNode* operator->() const { return &expr->at(node); }
  Term child(std::size_t i) const { return {expr, (*this)->children[i]}; }
  std::size_t size() const { return (*this)->children.size(); }
};

bool is_number_literal(const Term& t) {
  return t->kind == Kind::kNumber || (t->kind == Kind::kNegate && is_number_literal(t.child(0)));
}
bool is_whole_literal(const Term& t) {
  return is_number_literal(t) &&
         (t->kind == Kind::kNegate ? is_whole_literal(t.child(0)) : t->text.find_first_of(".(") == std::string::npos);
}

// 12, -1.5, 3/4, 1 1/2, 10%: what an evaluated rational number looks like.
bool is_plain_number(const Term& t) {
  if (t->kind == Kind::kNumber) return true;
  if (t->kind == Kind::kNegate || t->kind == Kind::kPercent || t->kind == Kind::kDivide || t->kind == Kind::kMixed) {
    for (std::size_t i = 0; i < t.size(); ++i)
      if (!is_plain_number(t.child(i))) return false;
    return true;
  }
  return false;
}

bool is_ten(const Term& t) {
  return t->kind == Kind::kNumber && t->text == "10";
}

// Sums and products that were left for the grader to work out. 1.5 * 10^3 is a way to write a number.
bool is_unevaluated(const Term& t) {
  if (t->kind == Kind::kAdd) return true;
  if (t->kind == Kind::kMultiply) {
    const Term right = t.child(1);
    const bool scientific = is_number_literal(t.child(0)) && right->kind == Kind::kPower && is_ten(right.child(0)) &&
                            is_whole_literal(right.child(1));
    if (scientific) return false;
    if (t->is_written || (is_plain_number(t.child(0)) && is_plain_number(right))) return true;
  }
  for (std::size_t i = 0; i < t.size(); ++i)
    if (is_unevaluated(t.child(i))) return true;
  return false;
}

bool has_decimals(const Term& t) {
  if (t->kind == Kind::kNumber) return t->text.find('.') != std::string::npos;
  for (std::size_t i = 0; i < t.size(); ++i)
    if (has_decimals(t.child(i))) return true;
  return false;
}

// +1 or -1 for plus or minus infinity, 0 for anything else.
int infinity(const Term& t) {
  if (t->kind == Kind::kSymbol && t->text == "inf") return 1;
  return t->kind == Kind::kNegate ? -infinity(t.child(0)) : 0;
}

bool is_single_symbol(const Term& t) {
  if (t->kind == Kind::kSymbol) return true;
  if (t->kind == Kind::kList && t.size() > 0) {  // (x, y)
    for (std::size_t i = 0; i < t.size(); ++i)
      if (t.child(i)->kind != Kind::kSymbol) return false;
    return true;
  }
  // f(x)
  return t->kind == Kind::kMultiply && !t->is_written && t.child(0)->kind == Kind::kSymbol &&
         t.child(1)->kind == Kind::kSymbol;
}

// The tree with the sign of plus-minus chosen; other parts are shared by index.
int choose_sign(MathExpr& expr, int node, bool plus) {
  MathNode n = expr.at(node);
  bool changed = false;
  for (int& child : n.children) {
    const int chosen = choose_sign(expr, child, plus);
    changed = changed || chosen != child;
    child = chosen;
  }
  if (n.kind == Kind::kPlusMinus || n.kind == Kind::kMinusPlus) {
    int& last = n.children.back();
    if (plus != (n.kind == Kind::kPlusMinus)) {
      expr.nodes.push_back({.kind = Kind::kNegate, .children = {last}});
      last = static_cast<int>(expr.nodes.size()) - 1;
    }
    if (n.children.size() == 1) return last;
    n.kind = Kind::kAdd;
  } else if (!changed) {
    return node;
  }
  expr.nodes.push_back(std::move(n));
  return static_cast<int>(expr.nodes.size()) - 1;
}

// A top-level a +- b becomes the list of both values.
void expand_plus_minus(MathExpr& expr) {
  const int plus = choose_sign(expr, expr.root, true);
  if (plus == expr.root) return;
  const int minus = choose_sign(expr, expr.root, false);
  expr.nodes.push_back({.kind = Kind::kList, .children = {plus, minus}});
  expr.root = static_cast<int>(expr.nodes.size()) - 1;
}

// What an inequality in one variable says as an interval: bounds may be missing.
struct Interval {
  std::optional<Term> low, high;
  bool low_closed = false, high_closed = false;
  std::string symbol;
};

// t < x, x >= t, a < x <= b; nothing for other relations.
std::optional<Interval> as_interval(const Term& t) {
  if (t->kind != Kind::kRelation || t->text.size() > 2 || t->text.find_first_not_of("<>LG") != std::string::npos)
    return std::nullopt;
  Interval interval;
  const auto bound = [&](const Term& value, bool low, bool closed) {
    if (infinity(value) != 0) return;
    (low ? interval.low : interval.high) = value;
    (low ? interval.low_closed : interval.high_closed) = closed;
  };
  const auto less = [](char c) { return c == '<' || c == 'L'; };
  const auto closed = [](char c) { return c == 'L' || c == 'G'; };
  const char first = t->text[0];
  if (t->text.size() == 2) {
    if (t.child(1)->kind != Kind::kSymbol || less(first) != less(t->text[1])) return std::nullopt;
    interval.symbol = t.child(1)->text;
    bound(t.child(0), less(first), closed(first));
    bound(t.child(2), !less(first), closed(t->text[1]));
  } else {
    const bool symbol_left = t.child(0)->kind == Kind::kSymbol;
    if (!symbol_left && t.child(1)->kind != Kind::kSymbol) return std::nullopt;
    interval.symbol = t.child(symbol_left ? 0 : 1)->text;
    bound(t.child(symbol_left ? 1 : 0), less(first) != symbol_left, closed(first));
  }
  return interval;
}

// (a, b], with infinite bounds as missing ones.
std::optional<Interval> list_as_interval(const Term& t) {
  if (t->kind != Kind::kList || t.size() != 2 || (t->open != '(' && t->open != '[')) return std::nullopt;
  Interval interval;
  if (infinity(t.child(0)) >= 0) interval.low = t.child(0), interval.low_closed = t->open == '[';
  if (infinity(t.child(1)) <= 0) interval.high = t.child(1), interval.high_closed = t->close == ']';
  return interval;
}

class Comparison {
 public:
  explicit Comparison(const MathOptions& options) : options_(options) {}

  bool equal(Term gold, Term answer) {
    if (!budget_.spend()) return false;
    strip_assignment(gold, answer);
    if (gold->kind == Kind::kRelation || answer->kind == Kind::kRelation) return relations(gold, answer);
    if (const Term g = single(gold), a = single(answer); g.node != gold.node || a.node != answer.node)
      return equal(g, a);
    if (gold->kind == Kind::kText || answer->kind == Kind::kText)
      return words(*gold) == words(*answer) && !words(*gold).empty();
    if (gold->kind != answer->kind && (is_structure(gold) || is_structure(answer))) return false;
    switch (gold->kind) {
      case Kind::kList:
        return lists(gold, answer);
      case Kind::kUnion:
        return same_elements(gold, answer);
      case Kind::kMatrix:
        return in_order(gold, answer);
      default:
        return scalars(gold, answer);
    }
  }

 private:
  static bool is_structure(const Term& t) {
    return t->kind == Kind::kList || t->kind == Kind::kUnion || t->kind == Kind::kMatrix;
  }
  // A set of one element is this element.
  static Term single(Term t) {
    while (t->kind == Kind::kList && t.size() == 1 && t->open == '{') t = t.child(0);
    return t;
  }
  static std::string words(const MathNode& n) {
    if (n.kind == Kind::kText) return n.text;
    return n.kind == Kind::kSymbol && n.text.size() == 1 ? std::string(1, static_cast<char>(n.text[0] | 0x20))
                                                         : std::string();
  }

  // x = 5 and 2 + 3 = 5 answer 5; x in [1, 2] answers [1, 2].
  static void strip_assignment(Term& gold, Term& answer) {
    const auto assigns = [](const Term& t) {
      return t->kind == Kind::kRelation && t->text.find_first_not_of("=I") == std::string::npos;
    };
    const auto last = [](const Term& t) { return t.child(t.size() - 1); };
    const bool gold_names = assigns(gold) && is_single_symbol(gold.child(0));
    if (gold_names && assigns(answer) && gold->text == "=" && answer->text == "=") {
      // Two equations: y = 2x and x = 2x are different.
      const Term left = answer.child(0);
      if (is_single_symbol(left) && left->text != gold.child(0)->text && left->kind == gold.child(0)->kind) return;
      if (!is_single_symbol(left)) return;
    }
    if (gold_names) gold = last(gold);
    if (gold->kind != Kind::kRelation && assigns(answer)) answer = last(answer);
  }

  bool relations(const Term& gold, const Term& answer) {
    const std::optional<Interval> g = gold->kind == Kind::kRelation ? as_interval(gold) : list_as_interval(gold);
    const std::optional<Interval> a = as_interval(answer);
    if (g && a) return intervals(*g, *a);
    if (gold->kind != Kind::kRelation || answer->kind != Kind::kRelation) return false;
    if (gold->text == "=" && answer->text == "=") return equations(gold, answer);
    return gold->text == answer->text && in_order(gold, answer);
  }
  bool intervals(const Interval& g, const Interval& a) {
    if (!g.symbol.empty() && g.symbol != a.symbol) return false;
    const auto same = [&](const std::optional<Term>& x, const std::optional<Term>& y) {
      return x && y ? equal(*x, *y) : !x && !y;
    };
    return (!g.low || g.low_closed == a.low_closed) && (!g.high || g.high_closed == a.high_closed) &&
           same(g.low, a.low) && same(g.high, a.high);
  }

  bool in_order(const Term& gold, const Term& answer) {
    if (gold.size() != answer.size()) return false;
    for (std::size_t i = 0; i < gold.size(); ++i)
      if (!equal(gold.child(i), answer.child(i))) return false;
    return true;
  }
  // Each has its twin in the other; how often does not matter.
  bool same_elements(const Term& gold, const Term& answer) {
    std::vector<bool> met(answer.size(), false);
    for (std::size_t i = 0; i < gold.size(); ++i) {
      bool found = false;
      for (std::size_t j = 0; j < answer.size(); ++j)
        if (equal(gold.child(i), answer.child(j))) found = met[j] = true;
      if (!found) return false;
    }
    return std::all_of(met.begin(), met.end(), [](bool m) { return m; });
  }
  bool lists(const Term& gold, const Term& answer) {
    const auto is_set = [](const Term& t) { return t->open == 0 || t->open == '{'; };
    if (is_set(gold) && is_set(answer)) return same_elements(gold, answer);
    return gold->open == answer->open && gold->close == answer->close && in_order(gold, answer);
  }

  bool scalars(const Term& gold, Term answer) {
    if (infinity(gold) != 0 || infinity(answer) != 0) return infinity(gold) == infinity(answer);
    if (is_whole_literal(gold) && is_whole_literal(answer) && !gold_exact(gold)) return digits(gold) == digits(answer);
    std::set<std::string> symbols;
    collect_symbols(*gold.expr, gold.node, symbols);
    if (symbols.empty()) answer = without_unit(answer);
    if (!options_.unevaluated && is_plain_number(gold) && is_unevaluated(answer)) return false;
    const std::optional<Rational> g = exact_value(*gold.expr, gold.node, budget_);
    const std::optional<Rational> a = g ? exact_value(*answer.expr, answer.node, budget_) : std::nullopt;
    if (g && a) return numbers(*g, *a, gold, answer);
    collect_symbols(*answer.expr, answer.node, symbols);
    return symbols.empty() ? constants(gold, answer) : functions(gold, answer, symbols);
  }
  bool gold_exact(const Term& gold) { return exact_value(*gold.expr, gold.node, budget_).has_value(); }
  static std::string digits(const Term& t) {
    if (t->kind == Kind::kNegate) return "-" + digits(t.child(0));
    return t->text.substr(std::min(t->text.find_first_not_of('0'), t->text.size() - 1));
  }
  // 5 m where 5 is wanted.
  static Term without_unit(const Term& t) {
    if (t->kind != Kind::kMultiply || t->is_written) return t;
    const Term unit = t.child(1);
    const bool is_unit = unit->kind == Kind::kSymbol && unit->text.size() == 1 &&
                         std::string_view("mgshLlNJWVAKCF").find(unit->text[0]) != std::string_view::npos;
    return is_unit ? t.child(0) : t;
  }

  bool numbers(const Rational& gold, const Rational& answer, const Term& gold_term, const Term& answer_term) {
    if (gold == answer) return true;
    if (options_.percent && (gold_term->kind == Kind::kPercent || answer_term->kind == Kind::kPercent)) {
      const Rational hundred = *Rational::of(100, 1);
      const std::optional<Rational> more = multiply(answer, hundred), less = divide(answer, hundred);
      if ((more && *more == gold) || (less && *less == gold)) return true;
    }
    // Whole numbers are exact; of others, decimals may be rounded.
    if (gold.is_integer()) return false;
    return (has_decimals(gold_term) || has_decimals(answer_term)) &&
           near(gold.to_double(), answer.to_double(), options_.tolerance);
  }
  static bool near(const Complex& gold, const Complex& answer, double tolerance) {
    return std::abs(gold - answer) <= tolerance * std::max(1.0, std::abs(gold));
  }
  bool constants(const Term& gold, const Term& answer) {
    const std::optional<Complex> g = numeric_value(*gold.expr, gold.node, {}, budget_);
    const std::optional<Complex> a = numeric_value(*answer.expr, answer.node, {}, budget_);
    if (!g || !a) return false;
    return near(*g, *a, has_decimals(gold) || has_decimals(answer) ? options_.tolerance : 1e-10);
  }

  // The point of a probe: fractions between -3 and 3 by the name of the variable, complex ones in the last probes.
  static MathPoint probe(const std::set<std::string>& symbols, int index) {
    MathPoint point;
    int number = 0;
    for (const std::string& symbol : symbols) {
      const int k = (37 * index + 101 * ++number) % 89 + 1;
      const double real = (index % 3 == 1 ? -1.0 : 1.0) * k / 31.0;
      point[symbol] = Complex(real, index >= kRealProbes ? (k % 7 + 1) / 5.0 : 0.0);
    }
    return point;
  }
  static constexpr int kProbes = 12, kRealProbes = 10, kWantedProbes = 4;

  bool functions(const Term& gold, const Term& answer, const std::set<std::string>& symbols) {
    int compared = 0;
    for (int i = 0; i < kProbes; ++i) {
      const MathPoint point = probe(symbols, i);
      const std::optional<Complex> g = numeric_value(*gold.expr, gold.node, point, budget_);
      const std::optional<Complex> a = numeric_value(*answer.expr, answer.node, point, budget_);
      if (g.has_value() != a.has_value()) return false;
      if (!g) continue;
      if (!near(*g, *a, 1e-8)) return false;
      ++compared;
    }
    return compared >= kWantedProbes;
  }
  // a = b and c = d say the same when a - b is a fixed multiple of c - d.
  bool equations(const Term& gold, const Term& answer) {
    std::set<std::string> symbols;
    for (const Term& t : {gold, answer}) collect_symbols(*t.expr, t.node, symbols);
    std::optional<Complex> factor;
    int compared = 0;
    for (int i = 0; i < kProbes && !symbols.empty(); ++i) {
      const MathPoint point = probe(symbols, i);
      std::array<std::optional<Complex>, 4> sides;
      for (std::size_t side = 0; side < 4; ++side) {
        const Term t = (side < 2 ? gold : answer).child(side % 2);
        sides[side] = numeric_value(*t.expr, t.node, point, budget_);
        if (!sides[side]) return false;
      }
      const Complex g = *sides[0] - *sides[1], a = *sides[2] - *sides[3];
      if (std::abs(a) < 1e-9 || std::abs(g) < 1e-9) {
        if (std::abs(a - g) > 1e-9) return false;
        continue;
      }
      if (!factor) factor = g / a;
      if (!near(*factor, g / a, 1e-7)) return false;
      ++compared;
    }
    return compared >= kWantedProbes;
  }

  const MathOptions& options_;
  MathBudget budget_;
};

// The text without what never changes a meaning; two equal ones need no tree.
std::string canonical(std::string_view text) {
  std::string out;
  bool only_words = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '$') continue;
    if (c == '\\') {
      const std::string_view rest = text.substr(i);
      std::size_t skipped = 0;
      for (const std::string_view tex : {"\\left", "\\right", "\\,", "\\!", "\\;", "\\ "})
        if (rest.starts_with(tex)) skipped = tex.size();
      if (skipped == 5 && rest.starts_with("\\leftarrow")) skipped = 0;
      if (skipped != 0) {
        i += skipped - 1;
        continue;
      }
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    only_words = only_words && (letter || c == '.' || c == '\'' || c < 0);
    out += c;
  }
  while (!out.empty() && out.back() == '.') out.pop_back();
  if (only_words && out.size() > 1)
    for (char& c : out)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

std::vector<MathExpr> readings(std::string_view text, std::string* problem = nullptr) {
  std::vector<MathExpr> found;
  // In brackets a comma separates.
  const bool ambiguous =
      text.find_first_of(", ") != std::string_view::npos && text.find_first_of("([") == std::string_view::npos;
  for (const CommaReading reading : {CommaReading::kList, CommaReading::kThousands, CommaReading::kDecimal}) {
    Result<MathExpr> expr = parse_math(text, reading);
    if (expr) {
      expand_plus_minus(expr.value());
      found.push_back(std::move(expr).value());
    } else if (problem != nullptr) {
      *problem = expr.message();
    }
    if (!ambiguous) break;
  }
  return found;
}

// The letter of a choice: (B), B., B) something.
char choice(std::string_view text) {
  const bool open = text.starts_with('(');
  if (open) text.remove_prefix(1);
  if (text.empty() || text[0] < 'A' || text[0] > 'J') return 0;
  if (text.size() == 1) return open ? '\0' : text[0];
  return std::string_view(").:").find(text[1]) != std::string_view::npos ? text[0] : '\0';
}

}  // namespace

Result<MathGold> MathGold::parse(std::string_view text) {
  MathGold gold;
  gold.text_ = text;
  gold.canonical_ = canonical(text);
  std::string problem;
  gold.readings_ = readings(text, &problem);
  // A decimal comma is a guess that only answers get.
  if (gold.readings_.size() > 2) gold.readings_.resize(2);
  if (gold.readings_.empty())
    return Failure{str_cat("\"", text.substr(0, 60), "\" is no answer that can be compared: ", problem)};
  return gold;
}

bool MathGold::equals(std::string_view answer, const MathOptions& options) const {
  if (answer.empty() || answer.size() > kMaxAnswerBytes) return false;
  if (canonical(answer) == canonical_) return true;
  if (canonical_.size() == 1 && choice(canonical(answer)) == canonical_[0]) return true;
  for (const MathExpr& a : readings(answer))
    for (const MathExpr& g : readings_)
      if (Comparison(options).equal({&g, g.root}, {&a, a.root})) return true;
  return false;
}

bool math_equal(std::string_view gold, std::string_view answer, const MathOptions& options) {
  Result<MathGold> parsed = MathGold::parse(gold);
  return parsed.value().equals(answer, options);
}

}  // namespace hadal
