#include "kernels/cross_entropy.h"

#include "kernels/check.h"
#include "kernels/logits_chunks.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check_argmax(const char* kernel, std::span<int> argmax_T, index_t rows) {
  HADAL_CHECK(argmax_T.empty() || static_cast<index_t>(argmax_T.size()) == rows, kernel, ": room for ", argmax_T.size(),
              " most likely tokens of ", rows, " rows");
}

}  // namespace

void linear_cross_entropy(Exec& ex, const CrossEntropyOutputs& out, ConstView x_TD, ConstView w_VD,
                          std::span<const int> target_T, double grad_scale, Write write_dx) {
  constexpr const char* kName = "linear_cross_entropy";
  check_statistic(kName, "loss", out.loss_T, 1, x_TD.rows, x_TD.dtype == DType::kF64);
  check_targets(kName, target_T, x_TD.rows, w_VD.rows);
  check_argmax(kName, out.argmax_T, x_TD.rows);
  for_logits_chunks(ex, x_TD, w_VD, {out.dx_TD, out.dw_VD, write_dx}, [&](const LogitsChunk& chunk) {
    const auto part = [&](auto span) {
      return span.empty()
                 ? span
                 : span.subspan(static_cast<std::size_t>(chunk.begin), static_cast<std::size_t>(chunk.logits_RV.rows));
    };
    ex.kernels.cross_entropy(ex, out.loss_T.slice_cols(chunk.begin, chunk.logits_RV.rows), chunk.dlogits_RV,
                             chunk.logits_RV, part(target_T), grad_scale, part(out.argmax_T));
  });
}

void cross_entropy(Exec& ex, View loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                   double grad_scale, std::span<int> argmax_T) {
  constexpr const char* kName = "cross_entropy";
  const bool f64 = logits_TV.dtype == DType::kF64;
  check_activation(kName, "logits", logits_TV, logits_TV.rows, logits_TV.cols, f64);
  check_statistic(kName, "loss", loss_T, 1, logits_TV.rows, f64);
  if (!dlogits_TV.empty()) check_activation(kName, "dlogits", dlogits_TV, logits_TV.rows, logits_TV.cols, f64);
  check_targets(kName, target_T, logits_TV.rows, logits_TV.cols);
  check_argmax(kName, argmax_T, logits_TV.rows);
  ex.kernels.cross_entropy(ex, loss_T, dlogits_TV, logits_TV, target_T, grad_scale, argmax_T);
}

}  // namespace hadal::kernels
