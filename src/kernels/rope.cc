#include "kernels/rope.h"

#include "kernels/table.h"

namespace hadal::kernels {

void rope(Exec& ex, Heads x, std::span<const int> positions, ConstView table, RopeStyle style, RopeDirection direction) { ex.kernels.rope(ex, x, positions, table, style, direction); }

}  // namespace hadal::kernels
