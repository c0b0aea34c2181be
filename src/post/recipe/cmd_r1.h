#pragma once
#include "base/options.h"

namespace hadal {

/// hadal r1: the stages of a recipe, one after the other, with a report.
int cmd_r1(Args args);

}  // namespace hadal
