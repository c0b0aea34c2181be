#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void grouped_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets, Write write) { ref::grouped_gemm_nt(ex, y_SF, x_SD, w_ExFD, offsets, write); }
void grouped_gemm_nn(Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets, Write write) { ref::grouped_gemm_nn(ex, dx_SD, dy_SF, w_ExFD, offsets, write); }
void grouped_gemm_tn(Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets, Write write) { ref::grouped_gemm_tn(ex, dw_ExFD, dy_SF, x_SD, offsets, write); }

#include "kernels/cpu/isa_end.h"
