#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void swiglu_forward(Exec& ex, View h_TF, ConstView gate_up_Tx2F) { ref::swiglu_forward(ex, h_TF, gate_up_Tx2F); }
void swiglu_backward(Exec& ex, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F) { ref::swiglu_backward(ex, dgate_up_Tx2F, dh_TF, gate_up_Tx2F); }

#include "kernels/cpu/isa_end.h"
