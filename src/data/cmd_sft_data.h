#pragma once
#include "base/options.h"

namespace hadal {

/// hadal sft-data prepare|show.
int cmd_sft_data(Args args);

}  // namespace hadal
