#pragma once
#include "base/options.h"

namespace hadal {

/// hadal tokenizer train|encode|decode.
int cmd_tokenizer(Args args);

}  // namespace hadal
