#pragma once
#include "base/options.h"

namespace hadal {

/// hadal chat: talk to a model in the terminal.
int cmd_chat(Args args);

}  // namespace hadal
