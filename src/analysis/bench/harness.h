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
  double share = 0;  // median over samples of rate / (mean of the roofs probed before and after the sample)
  int samples = 0, undisturbed = 0;  // those between two good probes; the figures are of them when there are five
};

/// Medians of at least 12 samples (more while they take under a quarter of a second together, or while other programs
/// disturb most of them, up to a second), each between two probes of the roof. A sample repeats `body` for about as
/// long as a probe takes. kind: the roof that `work`, of one call, is compared with.
BenchRow bench_compute(Exec& ex, std::string name, double work, kernels::RoofKind kind,
                       const std::function<void()>& body);
/// The same against the rate at which all threads read memory; `bytes` of one call. The body must not find them cached.
BenchRow bench_bandwidth(Exec& ex, std::string name, double bytes, const std::function<void()>& body);

/// Prints a row as text, or as a JSON line.
void print_row(const BenchRow& row, bool json);

}  // namespace hadal
