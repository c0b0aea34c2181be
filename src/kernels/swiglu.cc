#include "kernels/swiglu.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {

void swiglu_forward(Exec& ex, View h_TF, ConstView gate_up_Tx2F) {
  const bool f64 = gate_up_Tx2F.dtype == DType::kF64;
  check_activation("swiglu_forward", "h", h_TF, h_TF.rows, h_TF.cols, f64);
  check_activation("swiglu_forward", "gate_up", gate_up_Tx2F, h_TF.rows, 2 * h_TF.cols, f64);
  ex.kernels.swiglu_forward(ex, h_TF, gate_up_Tx2F);
}

void swiglu_backward(Exec& ex, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F) {
  const bool f64 = gate_up_Tx2F.dtype == DType::kF64;
  check_activation("swiglu_backward", "dh", dh_TF, dh_TF.rows, dh_TF.cols, f64);
  check_activation("swiglu_backward", "gate_up", gate_up_Tx2F, dh_TF.rows, 2 * dh_TF.cols, f64);
  check_activation("swiglu_backward", "dgate_up", dgate_up_Tx2F, dh_TF.rows, 2 * dh_TF.cols, f64);
  ex.kernels.swiglu_backward(ex, dgate_up_Tx2F, dh_TF, gate_up_Tx2F);
}

}  // namespace hadal::kernels
