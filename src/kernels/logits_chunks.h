#pragma once
#include <functional>

#include "kernels/exec.h"

namespace hadal::kernels {

/// Rows [begin, begin + logits_RV.rows) of the logits.
struct LogitsChunk {
  index_t begin = 0;
  View logits_RV;   // f32 (f64); may be overwritten
  View dlogits_RV;  // to be written, every element; may be the same memory as the logits; empty: no gradient is wanted
};

/// Where the gradients of x_TD w_VD^T go. dx_TD (write); dw_VD (+=) f32 (f64), empty: not wanted.
struct LogitsGradients {
  View dx_TD, dw_VD;
  Write write_dx = Write::kAssign;
};

/// Every loss of the output head: logits = x_TD w_VD^T exist only for a chunk of rows at a time. `rows_loss` reads them
/// and, when gradients are wanted (dx_TD not empty), writes dlogits; dx and dw follow. x, w: both f32, bf16 or f64; one
/// chunk depends on the shapes alone. rows_loss must not use Exec::caller_scratch.
void for_logits_chunks(Exec& ex, ConstView x_TD, ConstView w_VD, const LogitsGradients& gradients,
                       const std::function<void(const LogitsChunk&)>& rows_loss);

}  // namespace hadal::kernels
