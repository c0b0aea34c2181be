#pragma once
// Matrix products in the three orientations of a linear layer y = x W^T (W is [out, in], as Hugging Face stores it).
// Operands: both f32, both bf16, or (reference table only) both f64. Outputs: f32 or bf16 (f64 with f64). Sums: f32
// (f64 with f64), in an order that depends on the shapes alone. bf16 products flush denormals (vdpbf16ps). Errors:
// throws Error on mismatched shapes or dtypes. Threads: tiles of the output.
#include "kernels/exec.h"

namespace hadal::kernels {

/// y_TF (write) x_TD w_FD^T
void gemm_nt(Exec& ex, View y_TF, ConstView x_TD, ConstView w_FD, Write write = Write::kAssign);
/// dx_TD (write) dy_TF w_FD
void gemm_nn(Exec& ex, View dx_TD, ConstView dy_TF, ConstView w_FD, Write write = Write::kAssign);
/// dw_FD (write) dy_TF^T x_TD.  dw is usually f32.
void gemm_tn(Exec& ex, View dw_FD, ConstView dy_TF, ConstView x_TD, Write write = Write::kAdd);

/// The same over E experts in one parallel region. Rows of x and y are sorted by expert: expert e owns rows
/// [offsets[e], offsets[e + 1]); offsets.size() == E + 1. Weights are stacked: w_ExFD has E * F rows. Experts without
/// rows cost nothing; their dw is left as it is (kAdd) or zeroed (kAssign).
void grouped_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write = Write::kAssign);
void grouped_gemm_nn(Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write = Write::kAssign);
void grouped_gemm_tn(Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets,
                     Write write = Write::kAdd);

}  // namespace hadal::kernels
