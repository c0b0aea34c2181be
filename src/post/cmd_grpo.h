#pragma once
#include "base/options.h"

namespace hadal {

/// hadal grpo: reinforcement learning on tasks.
int cmd_grpo(Args args);
/// hadal sample: rejection sampling.
int cmd_sample(Args args);

}  // namespace hadal
