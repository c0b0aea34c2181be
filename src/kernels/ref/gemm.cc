#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void grouped_gemm_nt([[maybe_unused]] Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets, Write write) { fail("kernels: reference grouped_gemm_nt is not there yet"); }
void grouped_gemm_nn([[maybe_unused]] Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets, Write write) { fail("kernels: reference grouped_gemm_nn is not there yet"); }
void grouped_gemm_tn([[maybe_unused]] Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets, Write write) { fail("kernels: reference grouped_gemm_tn is not there yet"); }

}  // namespace hadal::kernels::ref
