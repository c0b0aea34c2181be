#include "kernels/roofline.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <numeric>

#include "base/stopwatch.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {}  // namespace

double roofline_work(Exec& ex, RoofKind kind, index_t rounds) {
  return ex.kernels.roofline_work(ex, kind, rounds);
}

double measure_roof(Exec& ex, RoofKind kind) {
  index_t rounds = 1 << 14;
  double best = 0;
  for (int i = 0; i < 12; ++i) {
    const Stopwatch stopwatch;
    const double work = roofline_work(ex, kind, rounds), seconds = stopwatch.seconds();
    if (work == 0) return 0;
    best = std::max(best, work / seconds);
    if (seconds < 5e-4) rounds *= 2;
  }
  return best;
}

ReadProbe::ReadProbe(Exec& ex) : exec_(ex), buffer_(DType::kI64, 1, kWords) {
  // Written first: memory that was never written is one page of zeros, which stays in the cache.
  std::fill_n(buffer_.view().as<std::int64_t>().data, kWords, 1);
}

double ReadProbe::measure(index_t bytes) {
  constexpr index_t kLine = 8, kAhead = 4096 / 8;  // words of a cache line; how far ahead is asked for
  const index_t threads = exec_.pool.num_threads(), lines = std::min(bytes, kBytes) / 64 / threads;
  if (next_ + lines * kLine * threads > kWords) next_ = 0;
  const std::int64_t* words = buffer_.view().as<std::int64_t>().data + next_;
  next_ += lines * kLine * threads;
  std::atomic<std::int64_t> total = 0;
  const Stopwatch stopwatch;
  exec_.pool.parallel_for(threads, [&](index_t t, int) {  // one long stream for each thread
    std::int64_t sum[kLine] = {};
    for (const std::int64_t *w = words + t * lines * kLine, *end = w + lines * kLine; w < end; w += kLine) {
      __builtin_prefetch(w + kAhead);
      for (index_t lane = 0; lane < kLine; ++lane) sum[lane] += w[lane];
    }
    total += std::accumulate(sum, sum + kLine, std::int64_t{0});
  });
  const double seconds = stopwatch.seconds();
  HADAL_CHECK(total == lines * kLine * threads, "roofline: the sum of ", lines * kLine * threads, " ones is ",
              total.load());
  return static_cast<double>(lines * 64 * threads) / seconds;
}

double measure_read_bandwidth(Exec& ex) {
  ReadProbe probe(ex);
  double best = 0;
  for (int i = 0; i < 4; ++i) best = std::max(best, probe.measure(ReadProbe::kBytes));
  return best;
}

}  // namespace hadal::kernels
