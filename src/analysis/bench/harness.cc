#include "analysis/bench/harness.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/stopwatch.h"

namespace hadal {
namespace {

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double timed(const std::function<void()>& body) {
  const Stopwatch stopwatch;
  body();
  return stopwatch.seconds();
}

/// A probe is good when it shows nearly the best rate that this row has seen.
constexpr double kGood = 0.9;

struct Sample {
  double seconds, before, after;  // of one call; operations or bytes a second
};

/// probe() gives a rate.
BenchRow bench(std::string name, double work, const std::function<double()>& probe, const std::function<void()>& body) {
  constexpr double kProbeSeconds = 1e-3;
  body();  // warms caches and scratch
  const double once = timed(body);
  const int repeats = static_cast<int>(std::clamp(kProbeSeconds / std::max(once, 1e-9), 1.0, 1e4));
  std::vector<Sample> samples;
  double total = 0, best = 0;
  const auto good = [&](const Sample& s) { return std::min(s.before, s.after) >= kGood * best; };
  while (true) {
    const double before = probe();
    const double seconds = timed([&] {
      for (int i = 0; i < repeats; ++i) body();
    });
    samples.push_back({seconds / repeats, before, probe()});
    best = std::max({best, before, samples.back().after});
    total += seconds;
    const auto undisturbed = std::count_if(samples.begin(), samples.end(), good);
    const double limit = undisturbed < 12 ? 1.0 : 0.25;
    if (samples.size() >= 12 && (total > limit || samples.size() >= 500)) break;
  }
  BenchRow row{.name = std::move(name), .work = work, .samples = static_cast<int>(samples.size())};
  row.undisturbed = static_cast<int>(std::count_if(samples.begin(), samples.end(), good));
  std::vector<double> seconds, roofs, shares;
  for (const Sample& s : samples) {
    if (row.undisturbed >= 5 && !good(s)) continue;
    seconds.push_back(s.seconds);
    roofs.push_back((s.before + s.after) / 2);
    shares.push_back(roofs.back() > 0 ? work / s.seconds / roofs.back() : 0);
  }
  row.seconds = median(seconds), row.roof = median(roofs), row.share = median(shares);
  return row;
}

}  // namespace

BenchRow bench_compute(Exec& ex, std::string name, double work, kernels::RoofKind kind,
                       const std::function<void()>& body) {
  const auto probe = [&] {
    kernels::roofline_work(ex, kind, 64);  // wakes the workers
    double operations = 0;
    const double seconds = timed([&] { operations = kernels::roofline_work(ex, kind, 1 << 16); });
    return operations / seconds;
  };
  return bench(std::move(name), work, probe, body);
}

BenchRow bench_bandwidth(Exec& ex, std::string name, double bytes, const std::function<void()>& body) {
  kernels::ReadProbe memory(ex);
  const auto probe = [&] { return memory.measure(index_t{8} << 20); };
  BenchRow row = bench(std::move(name), bytes, probe, body);
  row.unit = "B/s";
  return row;
}

void print_row(const BenchRow& row, bool json) {
  const double rate = row.work / row.seconds;
  if (json) {
    fmt::print("{}\n", json_line(JsonObject{{"name", row.name},
                                            {"seconds", row.seconds},
                                            {"rate", rate},
                                            {"roof", row.roof},
                                            {"share", row.share},
                                            {"samples", row.samples},
                                            {"undisturbed", row.undisturbed},
                                            {"unit", row.unit}}));
    return;
  }
  const std::string samples =
      row.samples > 0 ? fmt::format("  ({} of {} samples undisturbed)", row.undisturbed, row.samples) : std::string();
  fmt::print("{:<58} {:>10.3f} ms {:>8.1f} G{} {:>5.1f}% of {:.0f}{}\n", row.name, row.seconds * 1e3, rate / 1e9,
             row.unit, row.share * 100, row.roof / 1e9, samples);
}

}  // namespace hadal
