#pragma once
#include "base/options.h"

namespace hadal {

/// hadal inspect: what a model folder, a config or a safetensors file holds.
int cmd_inspect(Args args);

}  // namespace hadal
