#pragma once
#include "base/options.h"

namespace hadal {

/// hadal generate: continue a prompt.
int cmd_generate(Args args);

}  // namespace hadal
