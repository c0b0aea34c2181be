#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void attention_forward([[maybe_unused]] Exec& ex, Heads out, View lse_HT, const AttentionInputs& in) { fail("kernels: reference attention_forward is not there yet"); }
void attention_backward([[maybe_unused]] Exec& ex, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT, const AttentionInputs& in) { fail("kernels: reference attention_backward is not there yet"); }

}  // namespace hadal::kernels::ref
