#pragma once
#include "base/options.h"

namespace hadal {

/// hadal template render|check.
int cmd_template(Args args);

}  // namespace hadal
