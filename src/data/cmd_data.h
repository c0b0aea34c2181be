#pragma once
#include "base/options.h"

namespace hadal {

/// hadal data prepare|inspect.
int cmd_data(Args args);

}  // namespace hadal
