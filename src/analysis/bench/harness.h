#pragma once
// Shared by the benchmarks: timing, and the roof measured beside every figure.
#include <functional>
#include <string>

#include "base/json.h"
#include "kernels/roofline.h"

namespace hadal {

/// One figure: `work` operations (or bytes) in `seconds`, against the machine's roof in the same moments.
struct BenchRow {
  std::string name;  // op/shape/dtype/isa/t=threads
  double seconds = 0, work = 0, roof = 0;
  std::string unit = "FLOP/s";
};

/// The median time of at least 12 calls of `body` (more while they take under a quarter of a second together), and the
/// median of roofs probed around them. kind: the roof that `work` is compared with.
BenchRow bench_compute(Exec& ex, std::string name, double work, kernels::RoofKind kind,
                       const std::function<void()>& body);

/// Prints a row as text, or as a JSON line.
void print_row(const BenchRow& row, bool json);

}  // namespace hadal
