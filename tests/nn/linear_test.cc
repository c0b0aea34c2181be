#include "nn/linear.h"

#include <cmath>
#include <cstring>

#include "nn/nn_support.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

// Rows that are packed a slab at a time, from memory or as they are read, give the bits of the whole matrix.
TEST(Linear, SlabsChangeNoBit) {
  constexpr index_t kIn = 96, kOut = 300, kRows = 5;
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    Bench bench(precision_of(compute));
    const auto make = [&](index_t slab_rows) {
      return Linear({{"head", kOut}}, kIn, bench.ctx.precision, {.allow_fp8 = false, .slab_rows = slab_rows});
    };
    const View x = bench.ctx.keep(kRows, kIn), values = bench.ctx.keep(kOut, kIn);
    const auto set = [&](View to, double shift) {
      for (index_t r = 0; r < to.rows; ++r)
        for (index_t c = 0; c < to.cols; ++c) {
          const auto v = static_cast<float>(std::sin(static_cast<double>(r * to.cols + c) + shift));
          if (compute == DType::kF32)
            to.as<float>()(r, c) = v;
          else
            to.as<bf16>()(r, c) = to_bf16(v);
        }
    };
    set(x, 0.5);
    set(values, 0);
    const ParamVisitor fill = [&](const Param& p) { copy_rows(p.value, values.slice_rows(p.first_row, p.value.rows)); };
    for (const PackAs as : {PackAs(), PackAs(DType::kI8), PackAs(DType::kI4), PackAs(DType::kE4M3)}) {
      const auto product = [&](index_t slab_rows, bool as_read) {
        Linear linear = make(slab_rows);
        if (!as_read) linear.visit_params(fill);
        linear.pack({.ex = bench.exec, .fill = as_read ? fill : ParamVisitor()}, as);
        const View y = bench.ctx.keep_wide(kRows, kOut);
        linear.forward(bench.ctx, y, x);
        return y;
      };
      const View want = product(0, false);
      for (const bool as_read : {false, true}) {
        const View got = product(128, as_read);
        EXPECT_EQ(std::memcmp(want.data, got.data, static_cast<std::size_t>(bytes_of(want.dtype, want.count()))), 0)
            << dtype_name(compute) << " as " << (as ? dtype_name(*as) : "it is") << as_read;
      }
    }
  }
}

}  // namespace
}  // namespace hadal
