#include "kernels/cross_entropy.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/gemm.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check_targets(const char* kernel, std::span<const int> target_T, std::span<int> argmax_T, index_t rows,
                   index_t vocab_size) {
  HADAL_CHECK(static_cast<index_t>(target_T.size()) == rows, kernel, ": ", target_T.size(), " targets for ", rows,
              " rows");
  HADAL_CHECK(argmax_T.empty() || static_cast<index_t>(argmax_T.size()) == rows, kernel, ": room for ", argmax_T.size(),
              " most likely tokens of ", rows, " rows");
  for (std::size_t t = 0; t < target_T.size(); ++t)
    HADAL_CHECK(target_T[t] < vocab_size, kernel, ": target ", target_T[t], " at row ", t, ", the vocabulary has ",
                vocab_size);
}

/// Rows of logits that exist at a time: about 32 MB of f32, which the last-level cache still helps with, but no fewer
/// than 128, because every chunk reads all weights and adds to all of their gradients.
index_t chunk_rows(index_t rows, index_t vocab_size) {
  constexpr index_t kLogits = index_t{8} << 20, kFewest = 128;
  return std::clamp<index_t>(kLogits / std::max<index_t>(vocab_size, 1), kFewest, std::max(kFewest, rows));
}

}  // namespace

void linear_cross_entropy(Exec& ex, const CrossEntropyOutputs& out, ConstView x_TD, ConstView w_VD,
                          std::span<const int> target_T, double grad_scale, Write write_dx) {
  constexpr const char* kName = "linear_cross_entropy";
  const index_t rows = x_TD.rows, vocab_size = w_VD.rows;
  const bool f64 = x_TD.dtype == DType::kF64;
  check_activation(kName, "x", x_TD, rows, x_TD.cols, f64);
  check_view(kName, "w", w_VD, vocab_size, x_TD.cols, {x_TD.dtype});
  check_statistic(kName, "loss", out.loss_T, 1, rows, f64);
  const bool backward = !out.dx_TD.empty();
  if (backward) check_activation(kName, "dx", out.dx_TD, rows, x_TD.cols, f64);
  if (!out.dw_VD.empty()) {
    HADAL_CHECK(backward, kName, ": dw is wanted without dx");
    check_statistic(kName, "dw", out.dw_VD, vocab_size, x_TD.cols, f64);
  }
  check_targets(kName, target_T, out.argmax_T, rows, vocab_size);

  const index_t chunk = std::min(chunk_rows(rows, vocab_size), rows);
  const DType logits_type = f64 ? DType::kF64 : DType::kF32;
  const bool converts = backward && x_TD.dtype == DType::kBF16;
  const index_t logits_bytes = bytes_of(logits_type, chunk * vocab_size);
  std::byte* memory = ex.caller_scratch(logits_bytes + (converts ? bytes_of(DType::kBF16, chunk * vocab_size) : 0));
  for (index_t begin = 0; begin < rows; begin += chunk) {
    const index_t num = std::min(chunk, rows - begin);
    const View logits{memory, logits_type, num, vocab_size, vocab_size};
    const View converted{memory + logits_bytes, DType::kBF16, num, vocab_size, vocab_size};
    const View dlogits = !backward ? View{} : converts ? converted : logits;
    const auto part = [&](auto span) {
      return span.empty() ? span : span.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(num));
    };
    const ConstView x = x_TD.slice_rows(begin, num);
    gemm_nt(ex, logits, x, w_VD);
    ex.kernels.cross_entropy(ex, out.loss_T.slice_cols(begin, num), dlogits, logits, part(target_T), grad_scale,
                             part(out.argmax_T));
    if (!backward) continue;
    gemm_nn(ex, out.dx_TD.slice_rows(begin, num), dlogits, w_VD, write_dx);
    if (!out.dw_VD.empty()) gemm_tn(ex, out.dw_VD, dlogits, x, Write::kAdd);
  }
}

void cross_entropy(Exec& ex, View loss_T, View dlogits_TV, ConstView logits_TV, std::span<const int> target_T,
                   double grad_scale, std::span<int> argmax_T) {
  constexpr const char* kName = "cross_entropy";
  const bool f64 = logits_TV.dtype == DType::kF64;
  check_activation(kName, "logits", logits_TV, logits_TV.rows, logits_TV.cols, f64);
  check_statistic(kName, "loss", loss_T, 1, logits_TV.rows, f64);
  if (!dlogits_TV.empty()) check_activation(kName, "dlogits", dlogits_TV, logits_TV.rows, logits_TV.cols, f64);
  check_targets(kName, target_T, argmax_T, logits_TV.rows, logits_TV.cols);
  ex.kernels.cross_entropy(ex, loss_T, dlogits_TV, logits_TV, target_T, grad_scale, argmax_T);
}

}  // namespace hadal::kernels
