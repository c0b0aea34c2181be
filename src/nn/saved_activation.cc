#include "nn/saved_activation.h"

#include "kernels/e5m6.h"

namespace hadal {

void SavedActivation::save(Context& ctx, ConstView x, Form form) {
  form_ = form;
  if (form == Form::kAsIs) {
    value_ = x;
    return;
  }
  const index_t tiles = (x.cols + kernels::kFp8Tile - 1) / kernels::kFp8Tile;
  if (form == Form::kE5M6) {
    const View packed = ctx.saved.view(DType::kE5M6, x.rows, (x.cols + 1) / 2 * 2).slice_cols(0, x.cols);
    scales_ = ctx.saved.view(DType::kUE8M0, x.rows, tiles);
    kernels::e5m6_pack(ctx.exec, packed, scales_, x);
    value_ = packed;
  } else {
    const View codes = ctx.saved.view(DType::kE4M3, x.rows, x.cols);
    scales_ = ctx.saved.view(DType::kF32, x.rows, tiles);
    kernels::fp8_quantize_rows(ctx.exec, {codes, scales_.as<float>()}, x, kernels::Scales::kF32);
    value_ = codes;
  }
}

ConstView SavedActivation::restore(Context& ctx) const {
  if (form_ == Form::kAsIs) return value_;
  const View x = ctx.temp(value_.rows, value_.cols);
  if (form_ == Form::kE5M6)
    kernels::e5m6_unpack(ctx.exec, x, value_, scales_);
  else
    kernels::fp8_dequantize_rows(ctx.exec, x, {value_, scales_.as<float>()});
  return x;
}

}  // namespace hadal
