#include "kernels/rope.h"

#include "kernels/table.h"

namespace hadal::kernels {

void rope(Exec& ex, Heads x, std::span<const int> positions, ConstView table, RopeStyle style,
          RopeDirection direction) {
  HADAL_CHECK(x.dtype == DType::kF32 || x.dtype == DType::kBF16 || x.dtype == DType::kF64, "rope: x is ",
              dtype_name(x.dtype), ", want f32, bf16 or f64");
  const DType want = x.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
  HADAL_CHECK(table.dtype == want, "rope: table is ", dtype_name(table.dtype), ", want ", dtype_name(want),
              " for x in ", dtype_name(x.dtype));
  HADAL_CHECK(x.dim % 2 == 0 && table.cols == x.dim, "rope: ", x.dim, " channels per head with a table of ", table.cols,
              " columns, want the same even number");
  HADAL_CHECK(static_cast<index_t>(positions.size()) == x.rows, "rope: ", positions.size(), " positions for ", x.rows,
              " rows");
  for (const int p : positions) HADAL_CHECK(p >= 0 && p < table.rows, "rope: position ", p, ", table has ", table.rows);
  if (x.rows == 0 || x.heads == 0 || x.dim == 0) return;
  HADAL_CHECK(!x.empty() && !table.empty(), "rope: x or table is missing");
  ex.kernels.rope(ex, x, positions, table, style, direction);
}

}  // namespace hadal::kernels
