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

// Integers of values finer than bf16, of several tensors whose borders are not those of the pieces that are read.
TEST(Linear, PacksWhatTheSourceHolds) {
  constexpr index_t kIn = 96, kRows[] = {150, 70};
  Bench bench(precision_of(DType::kBF16));
  Tensor values(DType::kF32, 2 * (kRows[0] + kRows[1]), kIn);  // two matrices of two tensors
  for (index_t r = 0; r < values.rows(); ++r)
    for (index_t c = 0; c < kIn; ++c)
      values.view().as<float>()(r, c) = static_cast<float>(std::sin(static_cast<double>(r * kIn + c)));
  const ParamVisitor fill = [&](const Param& p) {
    const index_t part = p.name[0] - '0';
    EXPECT_EQ(p.value.dtype, DType::kF32);
    copy_rows(p.value, values.view().slice_rows(part / 2 * (kRows[0] + kRows[1]) + part % 2 * kRows[0] + p.first_row,
                                                p.value.rows));
  };
  for (const DType as : {DType::kI8, DType::kI4}) {
    Linear linear({{"0", kRows[0]}, {"1", kRows[1]}, {"2", kRows[0]}, {"3", kRows[1]}}, kIn, bench.ctx.precision,
                  {.num_matrices = 2});
    linear.pack({.ex = bench.exec, .fill = fill, .finer_than_bf16 = true}, as);
    const kernels::PackedWeights want = kernels::pack_weights(bench.exec, values.view(), 2, as);
    const auto bytes = static_cast<std::size_t>(kernels::packed_bytes(bench.exec, as, want.rows, want.cols));
    for (std::size_t e = 0; e < 2; ++e)
      EXPECT_EQ(std::memcmp(linear.packed()->matrices.at(e), want.matrices.at(e), bytes), 0) << dtype_name(as) << e;
  }
}

}  // namespace
}  // namespace hadal
