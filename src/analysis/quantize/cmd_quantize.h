#pragma once
#include "base/options.h"

namespace hadal {

/// `hadal quantize`: recipes for the weights compared with the source; one of them written as GGUF.
int cmd_quantize(Args args);

}  // namespace hadal
