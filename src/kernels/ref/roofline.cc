#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {

double roofline_work(Exec& ex, RoofKind kind, index_t rounds) {
  if (kind != RoofKind::kF32) return 0;
  ex.pool.parallel_for(ex.pool.num_threads(), [&](index_t, int) {
    volatile float sum = 0;
    for (index_t i = 0; i < rounds; ++i) sum = sum * 0.5F + 1.0F;
  });
  return 2.0 * static_cast<double>(rounds) * ex.pool.num_threads();
}

}  // namespace hadal::kernels::ref
