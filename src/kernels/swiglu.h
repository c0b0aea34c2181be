#pragma once
#include "kernels/exec.h"

namespace hadal::kernels {

/// h_TF = silu(gate_TF) * up_TF, where gate_up_Tx2F holds [gate | up]. f32, bf16 or f64; computed in f32 (f64).
void swiglu_forward(Exec& ex, View h_TF, ConstView gate_up_Tx2F);
/// Adjoint. Writes (=) dgate_up_Tx2F; it may be gate_up_Tx2F itself.
void swiglu_backward(Exec& ex, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F);

}  // namespace hadal::kernels
