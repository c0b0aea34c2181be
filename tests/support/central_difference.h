#pragma once
namespace hadal {

/// d value() / d x by central differences; x is what it was afterwards.
template <class Value>
double central_difference(double& x, const Value& value, double step = 1e-6) {
  const double at = x;
  x = at + step;
  const double up = value();
  x = at - step;
  const double down = value();
  x = at;
  return (up - down) / (2 * step);
}

}  // namespace hadal
