#include "kernels/logits_chunks.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/gemm.h"

namespace hadal::kernels {
namespace {

/// Rows of logits that exist at a time: about 32 MB of f32, which the last-level cache still helps with, but no fewer
/// than 128, because every chunk reads all weights and adds to all of their gradients.
index_t chunk_rows(index_t rows, index_t vocab_size) {
  constexpr index_t kLogits = index_t{8} << 20, kFewest = 128;
  return std::clamp<index_t>(kLogits / std::max<index_t>(vocab_size, 1), kFewest, std::max(kFewest, rows));
}

}  // namespace

void for_logits_chunks(Exec& ex, ConstView x_TD, ConstView w_VD, const LogitsGradients& gradients,
                       const std::function<void(const LogitsChunk&)>& rows_loss) {
  constexpr const char* kName = "logits";
  const index_t rows = x_TD.rows, vocab_size = w_VD.rows;
  const bool f64 = x_TD.dtype == DType::kF64, backward = !gradients.dx_TD.empty();
  check_activation(kName, "x", x_TD, rows, x_TD.cols, f64);
  check_view(kName, "w", w_VD, vocab_size, x_TD.cols, {x_TD.dtype});
  if (backward) check_activation(kName, "dx", gradients.dx_TD, rows, x_TD.cols, f64);
  if (!gradients.dw_VD.empty()) {
    HADAL_CHECK(backward, kName, ": dw is wanted without dx");
    check_statistic(kName, "dw", gradients.dw_VD, vocab_size, x_TD.cols, f64);
  }

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
    const ConstView x = x_TD.slice_rows(begin, num);
    gemm_nt(ex, logits, x, w_VD);
    rows_loss({begin, logits, dlogits});
    if (!backward) continue;
    gemm_nn(ex, gradients.dx_TD.slice_rows(begin, num), dlogits, w_VD, gradients.write_dx);
    if (!gradients.dw_VD.empty()) gemm_tn(ex, gradients.dw_VD, dlogits, x, Write::kAdd);
  }
}

}  // namespace hadal::kernels
