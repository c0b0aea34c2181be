#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void rope([[maybe_unused]] Exec& ex, Heads x, std::span<const int> positions, ConstView table, RopeStyle style, RopeDirection direction) { fail("kernels: reference rope is not there yet"); }

}  // namespace hadal::kernels::ref
