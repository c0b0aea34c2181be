#include "kernels/gemm.h"

#include <array>

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

void check_dtypes(const Exec& ex, const char* name, View out, ConstView a, ConstView b) {
  if (ex.isa == Isa::kReference) return;
  HADAL_CHECK(a.dtype == b.dtype && a.dtype != DType::kF64 && out.dtype != DType::kF64, name, ": dtypes ",
              dtype_name(out.dtype), " = ", dtype_name(a.dtype), " x ", dtype_name(b.dtype),
              ", only the reference multiplies f64 or mixed operands");
}

void check_operand(const char* name, const char* what, ConstView v, index_t rows, index_t cols) {
  check_view(name, what, v, rows, cols, {DType::kF32, DType::kBF16, DType::kF64});
}

}  // namespace

void grouped_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  check_dtypes(ex, "gemm_nt", y_SF, x_SD, w_ExFD);
  check_offsets("gemm_nt", offsets, x_SD.rows);
  check_operand("gemm_nt", "x", x_SD, x_SD.rows, x_SD.cols);
  check_operand("gemm_nt", "y", y_SF, x_SD.rows, y_SF.cols);
  check_operand("gemm_nt", "w", w_ExFD, (static_cast<index_t>(offsets.size()) - 1) * y_SF.cols, x_SD.cols);
  ex.kernels.grouped_gemm_nt(ex, y_SF, x_SD, w_ExFD, offsets, write);
}

void grouped_gemm_nn(Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  check_dtypes(ex, "gemm_nn", dx_SD, dy_SF, w_ExFD);
  check_offsets("gemm_nn", offsets, dy_SF.rows);
  check_operand("gemm_nn", "dy", dy_SF, dy_SF.rows, dy_SF.cols);
  check_operand("gemm_nn", "dx", dx_SD, dy_SF.rows, dx_SD.cols);
  check_operand("gemm_nn", "w", w_ExFD, (static_cast<index_t>(offsets.size()) - 1) * dy_SF.cols, dx_SD.cols);
  ex.kernels.grouped_gemm_nn(ex, dx_SD, dy_SF, w_ExFD, offsets, write);
}

void grouped_gemm_tn(Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets,
                     Write write) {
  check_dtypes(ex, "gemm_tn", dw_ExFD, dy_SF, x_SD);
  check_offsets("gemm_tn", offsets, dy_SF.rows);
  check_operand("gemm_tn", "dy", dy_SF, dy_SF.rows, dy_SF.cols);
  check_operand("gemm_tn", "x", x_SD, dy_SF.rows, x_SD.cols);
  check_operand("gemm_tn", "dw", dw_ExFD, (static_cast<index_t>(offsets.size()) - 1) * dy_SF.cols, x_SD.cols);
  ex.kernels.grouped_gemm_tn(ex, dw_ExFD, dy_SF, x_SD, offsets, write);
}

void gemm_nt(Exec& ex, View y_TF, ConstView x_TD, ConstView w_FD, Write write) {
  grouped_gemm_nt(ex, y_TF, x_TD, w_FD, std::array<index_t, 2>{0, x_TD.rows}, write);
}

void gemm_nn(Exec& ex, View dx_TD, ConstView dy_TF, ConstView w_FD, Write write) {
  grouped_gemm_nn(ex, dx_TD, dy_TF, w_FD, std::array<index_t, 2>{0, dy_TF.rows}, write);
}

void gemm_tn(Exec& ex, View dw_FD, ConstView dy_TF, ConstView x_TD, Write write) {
  grouped_gemm_tn(ex, dw_FD, dy_TF, x_TD, std::array<index_t, 2>{0, dy_TF.rows}, write);
}

}  // namespace hadal::kernels
