#include "kernels/roofline.h"

#include <algorithm>
#include <chrono>

#include "kernels/adamw.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

double roofline_work(Exec& ex, RoofKind kind, index_t rounds) {
  return ex.kernels.roofline_work(ex, kind, rounds);
}

double measure_roof(Exec& ex, RoofKind kind) {
  index_t rounds = 1 << 14;
  double best = 0;
  for (int i = 0; i < 12; ++i) {
    const auto start = Clock::now();
    const double work = roofline_work(ex, kind, rounds), seconds = seconds_since(start);
    if (work == 0) return 0;
    best = std::max(best, work / seconds);
    if (seconds < 5e-4) rounds *= 2;
  }
  return best;
}

double measure_read_bandwidth(Exec& ex) {
  constexpr index_t kFloats = index_t{1} << 26;  // 256 MiB
  const Tensor buffer(DType::kF32, 1, kFloats);
  double best = 0;
  for (int i = 0; i < 4; ++i) {
    const auto start = Clock::now();
    // A sum that nothing may remove; its arithmetic hides behind memory.
    if (sum_of_squares(ex, buffer.view()) != 0) fail("roofline: a zeroed buffer is not zero");
    best = std::max(best, static_cast<double>(kFloats) * 4 / seconds_since(start));
  }
  return best;
}

}  // namespace hadal::kernels
