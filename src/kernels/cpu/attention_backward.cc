#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void attention_backward(Exec& ex, const AttentionGrads& grads, ConstHeads dout, ConstHeads out, ConstView lse_HT,
                        const AttentionInputs& in) {
  ref::attention_backward(ex, grads, dout, out, lse_HT, in);
}

#include "kernels/cpu/isa_end.h"
