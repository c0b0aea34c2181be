#pragma once
// Small maths between the big kernels. Dtypes: f32, bf16 and f64 unless said; mixed f32/bf16 where two views may
// differ.
#include "kernels/exec.h"

namespace hadal::kernels {

/// y (write) x, converted. Any pair of f64, f32, f16, bf16, e4m3, e5m2 (no scales); rounding to nearest even, FP8
/// saturates.
void convert(Exec& ex, View y, ConstView x, Write write = Write::kAssign);
/// y_TD[t] (=) table_VD[ids[t]], converted to the dtype of y. Errors: id outside the table.
void embedding_forward(Exec& ex, View y_TD, ConstView table_VD, std::span<const int> ids);
/// dtable_VD[ids[t]] += dy_TD[t], in the order of t.
void embedding_backward(Exec& ex, View dtable_VD, ConstView dy_TD, std::span<const int> ids);
/// y_TF += bias_F for every row; adjoint: dbias_F += sum over rows of dy_TF (fixed blocks).
void bias_forward(Exec& ex, View y_TF, ConstView bias_F);
void bias_backward(Exec& ex, View dbias_F, ConstView dy_TF);
/// x *= factor
void scale(Exec& ex, View x, double factor);

}  // namespace hadal::kernels
