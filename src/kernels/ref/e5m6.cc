#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kernels/table.h"

namespace hadal::kernels::ref {

void e5m6_pack([[maybe_unused]] Exec& ex, View packed, View scales, ConstView x) { fail("kernels: reference e5m6_pack is not there yet"); }
void e5m6_unpack([[maybe_unused]] Exec& ex, View y, ConstView packed, ConstView scales) { fail("kernels: reference e5m6_unpack is not there yet"); }

}  // namespace hadal::kernels::ref
