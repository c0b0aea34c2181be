#include "kernels/attention.h"

#include "kernels/table.h"

namespace hadal::kernels {

void attention_forward(Exec& ex, Heads out, View lse_HT, const AttentionInputs& in) { ex.kernels.attention_forward(ex, out, lse_HT, in); }
void attention_backward(Exec& ex, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT, const AttentionInputs& in) { ex.kernels.attention_backward(ex, grads, dout, out, lse_HT, in); }

}  // namespace hadal::kernels
