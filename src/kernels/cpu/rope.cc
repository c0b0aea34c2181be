#include "kernels/ref/declare.h"
#include "kernels/table.h"

#include "kernels/cpu/isa_begin.h"

void rope(Exec& ex, Heads x, std::span<const int> positions, ConstView table, RopeStyle style, RopeDirection direction) { ref::rope(ex, x, positions, table, style, direction); }

#include "kernels/cpu/isa_end.h"
