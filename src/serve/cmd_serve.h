#pragma once
#include "base/command.h"

namespace hadal {

/// hadal serve: a model behind the OpenAI API and a chat page.
int cmd_serve(Args args);

}  // namespace hadal
