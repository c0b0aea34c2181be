#include "kernels/swiglu.h"

#include "kernels/table.h"

namespace hadal::kernels {

void swiglu_forward(Exec& ex, View h_TF, ConstView gate_up_Tx2F) { ex.kernels.swiglu_forward(ex, h_TF, gate_up_Tx2F); }
void swiglu_backward(Exec& ex, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F) { ex.kernels.swiglu_backward(ex, dgate_up_Tx2F, dh_TF, gate_up_Tx2F); }

}  // namespace hadal::kernels
