#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void fp8_quantize_rows(Exec& ex, Fp8 q, ConstView x, Scales kind) { ref::fp8_quantize_rows(ex, q, x, kind); }
void fp8_quantize_columns(Exec& ex, Fp8 q, ConstView x, std::span<const index_t> offsets, Scales kind) { ref::fp8_quantize_columns(ex, q, x, offsets, kind); }
void fp8_quantize_blocks(Exec& ex, Fp8 q, ConstView w, index_t num_matrices, Scales kind) { ref::fp8_quantize_blocks(ex, q, w, num_matrices, kind); }
void fp8_gemm_nt(Exec& ex, View y_TF, Fp8Const x_TD, Fp8Const w_FD, std::span<const index_t> offsets, Write write) { ref::fp8_gemm_nt(ex, y_TF, x_TD, w_FD, offsets, write); }
void fp8_gemm_nn(Exec& ex, View dx_TD, Fp8Const dy_TF, Fp8Const w_FD, std::span<const index_t> offsets, Write write) { ref::fp8_gemm_nn(ex, dx_TD, dy_TF, w_FD, offsets, write); }
void fp8_gemm_tn(Exec& ex, View dw_FD, Fp8Const dy_TF, Fp8Const x_TD, std::span<const index_t> offsets, Write write) { ref::fp8_gemm_tn(ex, dw_FD, dy_TF, x_TD, offsets, write); }

#include "kernels/cpu/isa_end.h"
