#pragma once
#include "base/options.h"

namespace hadal {

/// hadal pretrain: train a base model from text.
int cmd_pretrain(Args args);
/// hadal extend: longer context with YaRN, in phases.
int cmd_extend(Args args);

}  // namespace hadal
