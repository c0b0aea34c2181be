#pragma once
#include <functional>

#include "nn/expert_cache.h"
#include "nn/mlp.h"

namespace hadal {

/// The routed experts of one MoE layer, which lie in an ExpertCache: run as they come, each read at most once for all
/// rows of a pass. Results are those of Mlp::forward, bit for bit: no row depends on the others.
class StreamedExperts {
 public:
  StreamedExperts(ExpertCache& cache, int layer, Mlp& experts) : cache_(cache), layer_(layer), experts_(experts) {}

  /// y_SD (=), rows sorted by expert. `meanwhile` runs once reading has begun.
  void forward(Context& ctx, View y_SD, ConstView x_SD, std::span<const index_t> offsets,
               const std::function<void()>& meanwhile);
  /// The experts that tokens may choose soon, the most wanted first; -1: none.
  void guess(Mat<const int> index_TA);

 private:
  void run(Context& ctx, View y_SD, ConstView x_SD, std::span<const index_t> offsets, std::span<const int> experts,
           bool all);

  ExpertCache& cache_;
  int layer_;
  Mlp& experts_;
};

}  // namespace hadal
