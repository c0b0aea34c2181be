#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void e5m6_pack(Exec& ex, View packed, View scales, ConstView x) { ref::e5m6_pack(ex, packed, scales, x); }
void e5m6_unpack(Exec& ex, View y, ConstView packed, ConstView scales) { ref::e5m6_unpack(ex, y, packed, scales); }

#include "kernels/cpu/isa_end.h"
