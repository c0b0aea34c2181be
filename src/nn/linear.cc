#include "nn/linear.h"

#include "kernels/elementwise.h"
#include "kernels/fp8.h"
#include "kernels/gemm.h"

namespace hadal {
namespace {

using kernels::Fp8;
using kernels::kFp8Tile;
using kernels::Scales;

index_t tiles(index_t n) {
  return (n + kFp8Tile - 1) / kFp8Tile;
}

Fp8 quantize_rows(Context& ctx, ConstView x, Scales kind) {
  const Fp8 q{ctx.scratch.view(DType::kE4M3, x.rows, x.cols), ctx.scratch.mat<float>(x.rows, tiles(x.cols))};
  kernels::fp8_quantize_rows(ctx.exec, q, x, kind);
  return q;
}

Fp8 quantize_columns(Context& ctx, ConstView x, std::span<const index_t> offsets, Scales kind) {
  const index_t num_tiles =
      offsets.empty() ? tiles(x.rows) : kernels::fp8_column_tiles(offsets, static_cast<index_t>(offsets.size()) - 1);
  const Fp8 q{ctx.scratch.view(DType::kE4M3, x.rows, x.cols), ctx.scratch.mat<float>(num_tiles, x.cols)};
  kernels::fp8_quantize_columns(ctx.exec, q, x, offsets, kind);
  return q;
}

}  // namespace

PackRecipe PackRecipe::parse(std::string_view name) {
  if (name == "int8") return {DType::kI8, DType::kI8, DType::kI8, DType::kI8};
  if (name == "int4") return {DType::kI4, DType::kI4, DType::kI4, DType::kI4};
  if (name == "int4-experts") return {DType::kI8, DType::kI8, DType::kI4, DType::kI8};
  return {};
}

Linear::Linear(std::vector<LinearPart> parts, index_t in, Precision precision, Options options)
    : parts_(std::move(parts)),
      options_(options),
      fp8_(precision.fp8 && options.allow_fp8),
      fp8_inputs_(precision.fp8_inputs && options.allow_fp8 && options.allow_fp8_inputs),
      dtype_(precision.compute),
      input_scales_(precision.fp8_input_scales) {
  index_t rows = 0;
  for (const LinearPart& part : parts_) rows += part.rows;
  in_ = in, out_ = rows / options.num_matrices;
  weight_ = Tensor(precision.compute, rows, in);
  if (options.bias) bias_ = Tensor(precision.wide(), 1, rows);
  if (options.train) {
    grad_ = Tensor(precision.wide(), rows, in);
    if (options.bias) bias_grad_ = Tensor(precision.wide(), 1, rows);
  }
  if (fp8_) {
    codes_ = Tensor(DType::kE4M3, rows, in);
    scales_ = Tensor(DType::kF32, options.num_matrices * tiles(rows / options.num_matrices), tiles(in));
  }
}

kernels::Fp8Const Linear::quantized_weight() const {
  return {codes_.view(), scales_.view().as<float>()};
}

void Linear::pack(const PackPass& pass, PackAs as) {
  if (fp8_ || packed_) return;
  const std::size_t parts = parts_.size() / static_cast<std::size_t>(options_.num_matrices);  // of one matrix
  const auto values = [&](index_t e, Tensor& buffer) -> ConstView {
    if (!pass.fill) return weight_.view().slice_rows(e * out_, out_);
    if (buffer.empty()) buffer = Tensor(dtype_, out_, in_);
    index_t row = 0;
    for (std::size_t i = 0; i < parts; ++i) {
      const LinearPart& part = parts_[static_cast<std::size_t>(e) * parts + i];
      pass.fill({.name = part.name + ".weight", .value = buffer.view().slice_rows(row, part.rows), .grad = {}});
      row += part.rows;
    }
    return buffer.view();
  };
  const bool done = pass.pack(packed_, name(), {as.value_or(dtype_), options_.num_matrices, out_, in_}, values);
  if (done) weight_ = packed_ ? Tensor() : Tensor(dtype_, weight_.rows(), in_);
}

void Linear::refresh(Exec& ex) {
  if (fp8_)
    kernels::fp8_quantize_blocks(ex, {codes_.view(), scales_.view().as<float>()}, weight_.view(), options_.num_matrices,
                                 Scales::kF32);
}

void Linear::forward(Context& ctx, View y, ConstView x, Write write, std::span<const index_t> offsets) const {
  const ArenaScope scope(ctx.scratch);
  const index_t one[] = {0, x.rows};
  const std::span<const index_t> rows = offsets.empty() ? std::span<const index_t>(one) : offsets;
  if (fp8_) {
    const Fp8 q = quantize_rows(ctx, x, options_.power_of_two ? Scales::kPowerOfTwo : Scales::kF32);
    kernels::fp8_gemm_nt(ctx.exec, y, q, quantized_weight(), offsets, write);
  } else {
    ConstView input = x;
    if (fp8_inputs_) {
      const View rounded = ctx.temp(x.rows, x.cols);
      kernels::fp8_dequantize_rows(ctx.exec, rounded, quantize_rows(ctx, x, input_scales_));
      input = rounded;
    }
    if (packed_)
      kernels::packed_gemm_nt(ctx.exec, y, input, *packed_, rows, write);
    else
      kernels::grouped_gemm_nt(ctx.exec, y, input, weight_.view(), rows, write);
  }
  if (options_.bias) kernels::bias_forward(ctx.exec, y, bias_.view());
}

void Linear::backward_input(Context& ctx, View dx, ConstView dy, Write write, std::span<const index_t> offsets) const {
  if (fp8_) {
    const ArenaScope scope(ctx.scratch);
    kernels::fp8_gemm_nn(ctx.exec, dx, quantize_rows(ctx, dy, Scales::kF32), quantized_weight(), offsets, write);
  } else if (offsets.empty()) {
    kernels::gemm_nn(ctx.exec, dx, dy, weight_.view(), write);
  } else {
    kernels::grouped_gemm_nn(ctx.exec, dx, dy, weight_.view(), offsets, write);
  }
}

void Linear::backward_weight(Context& ctx, ConstView dy, ConstView x, std::span<const index_t> offsets) {
  if (ctx.deferred != nullptr) {
    ctx.deferred->push_back([this, &ctx, dy, x, offsets] {
      Context now = ctx;
      now.deferred = nullptr;
      backward_weight(now, dy, x, offsets);
    });
    return;
  }
  if (options_.bias) kernels::bias_backward(ctx.exec, bias_grad_.view(), dy);
  if (fp8_) {
    const ArenaScope scope(ctx.scratch);
    const Fp8 dy_q = quantize_columns(ctx, dy, offsets, Scales::kF32);
    const Fp8 x_q = quantize_columns(ctx, x, offsets, Scales::kF32);
    kernels::fp8_gemm_tn(ctx.exec, grad_.view(), dy_q, x_q, offsets);
  } else if (offsets.empty()) {
    kernels::gemm_tn(ctx.exec, grad_.view(), dy, x);
  } else {
    kernels::grouped_gemm_tn(ctx.exec, grad_.view(), dy, x, offsets);
  }
}

}  // namespace hadal
