#pragma once
#include "base/options.h"

namespace hadal {

/// hadal bench train: tokens/s of whole training steps (forward, backward, clip, AdamW) on random tokens.
int bench_train(Args args);

}  // namespace hadal
