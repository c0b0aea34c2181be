#pragma once
// Exact fractions for the comparison of answers. What does not fit into 64 bits has no value.
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

namespace hadal {

/// numerator / denominator in lowest terms, denominator > 0.
class Rational {
 public:
  Rational() = default;
  static std::optional<Rational> of(__int128 numerator, __int128 denominator) {
    if (denominator == 0) return std::nullopt;
    if (denominator < 0) numerator = -numerator, denominator = -denominator;
    __int128 a = numerator < 0 ? -numerator : numerator, b = denominator;
    while (b != 0) a = std::exchange(b, a % b);
    numerator /= a, denominator /= a;
    constexpr __int128 kMax = std::numeric_limits<std::int64_t>::max();
    if (numerator > kMax || numerator < -kMax || denominator > kMax) return std::nullopt;
    Rational r;
    r.numerator_ = static_cast<std::int64_t>(numerator);
    r.denominator_ = static_cast<std::int64_t>(denominator);
    return r;
  }

  /// Digits with at most one point, "12.5"; `repeating` digits follow without end, "0.1" and "6" is 1/6.
  static std::optional<Rational> from_decimal(std::string_view digits, std::string_view repeating = {}) {
    if (digits.size() + repeating.size() > 19) return std::nullopt;
    __int128 value = 0, scale = 1;
    bool fraction = false;
    for (const char c : digits) {
      if (c == '.') {
        fraction = true;
        continue;
      }
      value = value * 10 + (c - '0');
      if (fraction) scale *= 10;
    }
    if (repeating.empty()) return of(value, scale);
    __int128 period = 0, length = 1;
    for (const char c : repeating) period = period * 10 + (c - '0'), length *= 10;
    return of(value * (length - 1) + period, scale * (length - 1));
  }

  std::int64_t numerator() const { return numerator_; }
  std::int64_t denominator() const { return denominator_; }
  bool is_integer() const { return denominator_ == 1; }
  double to_double() const { return static_cast<double>(numerator_) / static_cast<double>(denominator_); }
  bool operator==(const Rational&) const = default;

  Rational operator-() const {
    Rational r = *this;
    r.numerator_ = -r.numerator_;
    return r;
  }
  friend std::optional<Rational> add(const Rational& a, const Rational& b) {
    return of(
        static_cast<__int128>(a.numerator_) * b.denominator_ + static_cast<__int128>(b.numerator_) * a.denominator_,
        static_cast<__int128>(a.denominator_) * b.denominator_);
  }
  friend std::optional<Rational> multiply(const Rational& a, const Rational& b) {
    return of(static_cast<__int128>(a.numerator_) * b.numerator_,
              static_cast<__int128>(a.denominator_) * b.denominator_);
  }
  friend std::optional<Rational> divide(const Rational& a, const Rational& b) {
    return of(static_cast<__int128>(a.numerator_) * b.denominator_,
              static_cast<__int128>(a.denominator_) * b.numerator_);
  }
  /// base^exponent for whole exponents; at most 64 products.
  friend std::optional<Rational> power(const Rational& base, std::int64_t exponent) {
    if (exponent < -64 || exponent > 64) return std::nullopt;
    std::optional<Rational> result = of(1, 1);
    const std::optional<Rational> factor = exponent < 0 ? divide(*result, base) : base;
    if (!factor) return std::nullopt;
    for (std::int64_t i = exponent < 0 ? -exponent : exponent; i > 0 && result; --i)
      result = multiply(*result, *factor);
    return result;
  }

 private:
  std::int64_t numerator_ = 0, denominator_ = 1;
};

}  // namespace hadal
