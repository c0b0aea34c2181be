#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/gemm.h"

#include "kernels/table.h"

namespace hadal::kernels {

void gemm_nt(Exec& ex, View y_TF, ConstView x_TD, ConstView w_FD, Write write) { fail("kernels: gemm_nt is not there yet"); }
void gemm_nn(Exec& ex, View dx_TD, ConstView dy_TF, ConstView w_FD, Write write) { fail("kernels: gemm_nn is not there yet"); }
void gemm_tn(Exec& ex, View dw_FD, ConstView dy_TF, ConstView x_TD, Write write) { fail("kernels: gemm_tn is not there yet"); }
void grouped_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets, Write write) { ex.kernels.grouped_gemm_nt(ex, y_SF, x_SD, w_ExFD, offsets, write); }
void grouped_gemm_nn(Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets, Write write) { ex.kernels.grouped_gemm_nn(ex, dx_SD, dy_SF, w_ExFD, offsets, write); }
void grouped_gemm_tn(Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets, Write write) { ex.kernels.grouped_gemm_tn(ex, dw_ExFD, dy_SF, x_SD, offsets, write); }

}  // namespace hadal::kernels
