#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <atomic>

#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"
#include "kernels/cpu/vec.h"

namespace {

/// Independent chains: enough to hide the latency of a multiply-add, few enough to stay in registers.
constexpr int kChains = kLanes == 16 ? 24 : 12;

template <class Register, class Step>
HADAL_INLINE void run_chains(Register start, index_t rounds, Step step) {
  Register chain[kChains];
#pragma GCC unroll 24
  for (int c = 0; c < kChains; ++c) chain[c] = start;
  for (index_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c) {
      chain[c] = step(chain[c]);
      asm volatile("" : "+v"(chain[c]));  // keeps every step
    }
  }
}

}  // namespace

double roofline_work(Exec& ex, RoofKind kind, index_t rounds) {
  double per_step = 0;  // operations of one instruction
  FunctionRef<void(index_t, int)> probe = [](index_t, int) {};
  const auto f32 = [&](index_t, int) {
    const Vec a = splat(0.5F), b = splat(1.0F);
    run_chains(splat(1.0F), rounds, [&](Vec v) { return fma(v, a, b); });
  };
#if defined(HADAL_ISA_IS_avx512)
  const auto pairs = [&](index_t, int) {
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3F003F00), b = (__m512bh)_mm512_set1_epi32(0x3F003F00);
    run_chains(_mm512_set1_ps(1.0F), rounds, [&](__m512 v) { return _mm512_dpbf16_ps(v, a, b); });
  };
  const auto bytes = [&](index_t, int) {
    const __m512i a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(1);
    run_chains(_mm512_setzero_si512(), rounds, [&](__m512i v) { return _mm512_dpbusd_epi32(v, a, b); });
  };
  if (kind == RoofKind::kBF16) per_step = 64, probe = pairs;
  if (kind == RoofKind::kI8) per_step = 128, probe = bytes;
#endif
  // Below AVX-512, bf16 is widened and multiplied as f32.
  if (kind == RoofKind::kF32 || (kind == RoofKind::kBF16 && per_step == 0)) per_step = 2 * kLanes, probe = f32;
  if (per_step == 0) return 0;
  // All threads at once: without a meeting point one worker may take the tasks of another that is slow to wake, and the
  // probe would show fewer cores than there are. The wait is bounded, for a pool that runs its loops on one thread.
  const int threads = ex.pool.num_threads();
  std::atomic<int> arrived{0};
  ex.pool.parallel_for(threads, [&](index_t task, int worker) {
    arrived.fetch_add(1);
    for (int spin = 0; arrived.load() < threads && spin < (1 << 16); ++spin) asm volatile("" ::: "memory");
    probe(task, worker);
  });
  return per_step * kChains * static_cast<double>(rounds) * ex.pool.num_threads();
}

#include "kernels/cpu/isa_end.h"
