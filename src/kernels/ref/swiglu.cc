#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void swiglu_forward([[maybe_unused]] Exec& ex, View h_TF, ConstView gate_up_Tx2F) { fail("kernels: reference swiglu_forward is not there yet"); }
void swiglu_backward([[maybe_unused]] Exec& ex, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F) { fail("kernels: reference swiglu_backward is not there yet"); }

}  // namespace hadal::kernels::ref
