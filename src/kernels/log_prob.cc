#include "kernels/log_prob.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {

void entropy(Exec& ex, View entropy_T, ConstView logits_TV, std::span<const int> target_T) {
  constexpr const char* kName = "entropy";
  const bool f64 = logits_TV.dtype == DType::kF64;
  check_activation(kName, "logits", logits_TV, logits_TV.rows, logits_TV.cols, f64);
  check_statistic(kName, "entropy", entropy_T, 1, logits_TV.rows, f64);
  check_targets(kName, target_T, logits_TV.rows, logits_TV.cols);
  ex.kernels.entropy(ex, entropy_T, logits_TV, target_T);
}

void log_prob_backward(Exec& ex, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T, ConstView dlogp_T,
                       ConstView dentropy_T) {
  constexpr const char* kName = "log_prob_backward";
  const bool f64 = logits_TV.dtype == DType::kF64;
  check_activation(kName, "logits", logits_TV, logits_TV.rows, logits_TV.cols, f64);
  check_activation(kName, "dlogits", dlogits_TV, logits_TV.rows, logits_TV.cols, f64);
  check_statistic(kName, "dlogp", dlogp_T, 1, logits_TV.rows, f64);
  if (!dentropy_T.empty()) check_statistic(kName, "dentropy", dentropy_T, 1, logits_TV.rows, f64);
  check_targets(kName, target_T, logits_TV.rows, logits_TV.cols);
  ex.kernels.log_prob_backward(ex, dlogits_TV, logits_TV, target_T, dlogp_T, dentropy_T);
}

}  // namespace hadal::kernels
