#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/cpu/intrinsics.h"
#include "kernels/fp8.h"

#include "kernels/cpu/isa_begin.h"

#include "kernels/cpu/gemm_driver.h"

namespace {

/// scales_of(e): the scales of group e.
template <Form kForm, class ScalesOf>
void multiply_fp8(Exec& ex, View out, ConstView a, ConstView b, std::span<const index_t> offsets, Write write,
                  ScalesOf scales_of) {
  std::vector<Group<e4m3>> groups = make_groups<e4m3, kForm>(out, a.as<e4m3>(), b.as<e4m3>(), offsets, write);
  for (std::size_t e = 0; e < groups.size(); ++e) groups[e].scales = scales_of(static_cast<index_t>(e));
  Driver<e4m3, kForm>(ex, out, a.stride, b.stride, write).run(groups);
}

const float* scale_row(Mat<const float> scales, index_t row) {
  return scales.data + row * scales.stride;
}

}  // namespace

void fp8_gemm_nt(Exec& ex, View y_TF, Fp8Const x_TD, Fp8Const w_FD, std::span<const index_t> offsets, Write write) {
  const index_t blocks = divide_up(y_TF.cols, kFp8Tile);
  multiply_fp8<Form::kNt>(ex, y_TF, x_TD.codes, w_FD.codes, offsets, write, [&](index_t e) {
    return GroupScales{.left = scale_row(x_TD.scales, offsets[static_cast<std::size_t>(e)]),
                       .left_row = x_TD.scales.stride,
                       .left_tile = 1,
                       .right = scale_row(w_FD.scales, e * blocks),
                       .right_tile = 1,
                       .right_step = w_FD.scales.stride,
                       .right_width = kFp8Tile};
  });
}

void fp8_gemm_nn(Exec& ex, View dx_TD, Fp8Const dy_TF, Fp8Const w_FD, std::span<const index_t> offsets, Write write) {
  const index_t blocks = divide_up(dy_TF.codes.cols, kFp8Tile);
  multiply_fp8<Form::kNn>(ex, dx_TD, dy_TF.codes, w_FD.codes, offsets, write, [&](index_t e) {
    return GroupScales{.left = scale_row(dy_TF.scales, offsets[static_cast<std::size_t>(e)]),
                       .left_row = dy_TF.scales.stride,
                       .left_tile = 1,
                       .right = scale_row(w_FD.scales, e * blocks),
                       .right_tile = w_FD.scales.stride,
                       .right_step = 1,
                       .right_width = kFp8Tile};
  });
}

void fp8_gemm_tn(Exec& ex, View dw_FD, Fp8Const dy_TF, Fp8Const x_TD, std::span<const index_t> offsets, Write write) {
  multiply_fp8<Form::kTn>(ex, dw_FD, dy_TF.codes, x_TD.codes, offsets, write, [&](index_t e) {
    const index_t tile = fp8_column_tiles(offsets, e);
    return GroupScales{.left = scale_row(dy_TF.scales, tile),
                       .left_row = 1,
                       .left_tile = dy_TF.scales.stride,
                       .right = scale_row(x_TD.scales, tile),
                       .right_tile = x_TD.scales.stride,
                       .right_step = 1,
                       .right_width = 1};
  });
}

#include "kernels/cpu/isa_end.h"
