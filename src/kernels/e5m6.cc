#include "kernels/e5m6.h"

#include "kernels/table.h"

namespace hadal::kernels {

void e5m6_pack(Exec& ex, View packed, View scales, ConstView x) { ex.kernels.e5m6_pack(ex, packed, scales, x); }
void e5m6_unpack(Exec& ex, View y, ConstView packed, ConstView scales) { ex.kernels.e5m6_unpack(ex, y, packed, scales); }

}  // namespace hadal::kernels
