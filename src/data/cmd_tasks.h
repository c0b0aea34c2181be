#pragma once
#include "base/options.h"

namespace hadal {

/// hadal tasks make|score.
int cmd_tasks(Args args);

}  // namespace hadal
