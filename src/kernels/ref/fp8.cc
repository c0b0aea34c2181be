#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void fp8_quantize_rows([[maybe_unused]] Exec& ex, Fp8 q, ConstView x, Scales kind) { fail("kernels: reference fp8_quantize_rows is not there yet"); }
void fp8_quantize_columns([[maybe_unused]] Exec& ex, Fp8 q, ConstView x, std::span<const index_t> offsets, Scales kind) { fail("kernels: reference fp8_quantize_columns is not there yet"); }
void fp8_quantize_blocks([[maybe_unused]] Exec& ex, Fp8 q, ConstView w, index_t num_matrices, Scales kind) { fail("kernels: reference fp8_quantize_blocks is not there yet"); }
void fp8_gemm_nt([[maybe_unused]] Exec& ex, View y_TF, Fp8Const x_TD, Fp8Const w_FD, std::span<const index_t> offsets, Write write) { fail("kernels: reference fp8_gemm_nt is not there yet"); }
void fp8_gemm_nn([[maybe_unused]] Exec& ex, View dx_TD, Fp8Const dy_TF, Fp8Const w_FD, std::span<const index_t> offsets, Write write) { fail("kernels: reference fp8_gemm_nn is not there yet"); }
void fp8_gemm_tn([[maybe_unused]] Exec& ex, View dw_FD, Fp8Const dy_TF, Fp8Const x_TD, std::span<const index_t> offsets, Write write) { fail("kernels: reference fp8_gemm_tn is not there yet"); }

}  // namespace hadal::kernels::ref
