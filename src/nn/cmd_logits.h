#pragma once
#include "base/options.h"

namespace hadal {

/// hadal init: random weights in the Hugging Face layout.
int cmd_init(Args args);
/// hadal logits: logits (and MTP logits, hidden states, routing) of a token sequence, as safetensors.
int cmd_logits(Args args);
/// hadal grad: loss and gradients of every parameter for a token sequence, as safetensors.
int cmd_grad(Args args);

}  // namespace hadal
