#pragma once
#include "base/options.h"

namespace hadal {

/// hadal export: a model as another format: a Hugging Face folder, or one GGUF file.
int cmd_export(Args args);

}  // namespace hadal
