#include "kernels/e5m6.h"

#include "kernels/check.h"
#include "kernels/table.h"

namespace hadal::kernels {
namespace {

constexpr index_t kTile = 128;

void check_packed(const char* kernel, ConstView packed, ConstView scales, index_t rows, index_t cols) {
  check_view(kernel, "packed", packed, rows, cols, {DType::kE5M6});
  check_view(kernel, "scales", scales, rows, (cols + kTile - 1) / kTile, {DType::kUE8M0});
  HADAL_CHECK(cols % 2 == 0 && packed.stride % 2 == 0, kernel, ": two values share three bytes, but rows are ", cols,
              " wide and ", packed.stride, " apart");
}

}  // namespace

void e5m6_pack(Exec& ex, View packed, View scales, ConstView x) {
  check_activation("e5m6_pack", "x", x, x.rows, x.cols, false);
  check_packed("e5m6_pack", packed, scales, x.rows, x.cols);
  ex.kernels.e5m6_pack(ex, packed, scales, x);
}

void e5m6_unpack(Exec& ex, View y, ConstView packed, ConstView scales) {
  check_activation("e5m6_unpack", "y", y, y.rows, y.cols, false);
  check_packed("e5m6_unpack", packed, scales, y.rows, y.cols);
  ex.kernels.e5m6_unpack(ex, y, packed, scales);
}

}  // namespace hadal::kernels
