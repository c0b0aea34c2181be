#include "post/cmd_grpo.h"
namespace hadal { int cmd_sample(Args) { return 1; } }
