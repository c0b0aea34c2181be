#include "analysis/bench/harness.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace hadal {
namespace {

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double timed(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

BenchRow bench_compute(Exec& ex, std::string name, double work, kernels::RoofKind kind,
                       const std::function<void()>& body) {
  body();  // warms caches and scratch
  std::vector<double> seconds, roofs;
  double total = 0;
  while (seconds.size() < 12 || (total < 0.25 && seconds.size() < 500)) {
    // A probe of about half a millisecond, close enough to see the same disturbances.
    double operations = 0;
    const double probe = timed([&] { operations = kernels::roofline_work(ex, kind, 4096); });
    if (operations > 0) roofs.push_back(operations / probe);
    seconds.push_back(timed(body));
    total += seconds.back();
  }
  return {std::move(name), median(seconds), work, roofs.empty() ? 0 : median(roofs)};
}

void print_row(const BenchRow& row, bool json) {
  const double rate = row.work / row.seconds, share = row.roof > 0 ? rate / row.roof : 0;
  if (json) {
    fmt::print("{}\n", json_line(JsonObject{{"name", row.name},
                                            {"seconds", row.seconds},
                                            {"rate", rate},
                                            {"roof", row.roof},
                                            {"share", share},
                                            {"unit", row.unit}}));
    return;
  }
  fmt::print("{:<58} {:>10.3f} ms {:>8.1f} G{} {:>5.1f}% of {:.0f}\n", row.name, row.seconds * 1e3, rate / 1e9,
             row.unit, share * 100, row.roof / 1e9);
}

}  // namespace hadal
