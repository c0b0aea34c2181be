#include "nn/linear.h"

#include <algorithm>

#include "kernels/elementwise.h"
#include "kernels/fp8.h"
#include "kernels/gemm.h"

namespace hadal {
namespace {

using kernels::Fp8;
using kernels::fp8_tiles;
using kernels::Scales;

Fp8 quantize_rows(Context& ctx, ConstView x, Scales kind) {
  const Fp8 q{ctx.scratch.view(DType::kE4M3, x.rows, x.cols), ctx.scratch.mat<float>(x.rows, fp8_tiles(x.cols))};
  kernels::fp8_quantize_rows(ctx.exec, q, x, kind);
  return q;
}

Fp8 quantize_columns(Context& ctx, ConstView x, std::span<const index_t> offsets, Scales kind) {
  const index_t num_tiles = offsets.empty()
                                ? fp8_tiles(x.rows)
                                : kernels::fp8_column_tiles(offsets, static_cast<index_t>(offsets.size()) - 1);
  const Fp8 q{ctx.scratch.view(DType::kE4M3, x.rows, x.cols), ctx.scratch.mat<float>(num_tiles, x.cols)};
  kernels::fp8_quantize_columns(ctx.exec, q, x, offsets, kind);
  return q;
}

}  // namespace

PackRecipe PackRecipe::parse(std::string_view text) {
  constexpr std::string_view kWanted =
      "f32|bf16|fp8|as-stored|fp8-weights|int8|int4|int4-experts, attention|dense|experts|head=bf16|fp8|int8|int4";
  PackRecipe recipe;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string_view item = text.substr(at, end - at);
    const std::size_t equals = std::min(item.find('='), item.size());
    const std::string_view name = item.substr(0, equals), form = item.substr(std::min(equals + 1, item.size()));
    at = end + 1;
    if (name == item) {
      if (name == "int8")
        recipe = {DType::kI8, DType::kI8, DType::kI8, DType::kI8};
      else if (name == "int4")
        recipe = {DType::kI4, DType::kI4, DType::kI4, DType::kI4};
      else if (name == "int4-experts")
        recipe = {DType::kI8, DType::kI8, DType::kI4, DType::kI8};
      else if (name == "fp8-weights")
        recipe = {DType::kE4M3, DType::kE4M3, DType::kE4M3, {}};
      else
        HADAL_CHECK(name == "f32" || name == "bf16" || name == "fp8" || name == "as-stored", "weights: got \"", item,
                    "\", want ", kWanted);
      continue;
    }
    PackAs* to = name == "attention" ? &recipe.attention
                 : name == "dense"   ? &recipe.dense
                 : name == "experts" ? &recipe.experts
                 : name == "head"    ? &recipe.head
                                     : nullptr;
    HADAL_CHECK(to != nullptr && (form == "bf16" || form == "fp8" || form == "int8" || form == "int4"),
                "weights: got \"", item, "\", want ", kWanted);
    *to = form == "int8"   ? PackAs(DType::kI8)
          : form == "int4" ? PackAs(DType::kI4)
          : form == "fp8"  ? PackAs(DType::kE4M3)
                           : PackAs();
  }
  return recipe;
}

Linear::Linear(std::vector<LinearPart> parts, index_t in, Precision precision, Options options)
    : parts_(std::move(parts)),
      options_(options),
      fp8_(precision.fp8 && options.allow_fp8),
      fp8_inputs_(precision.fp8_inputs && options.allow_fp8 && options.allow_fp8_inputs),
      input_scales_(precision.fp8_input_scales) {
  HADAL_CHECK(options.slab_rows == 0 || (parts_.size() == 1 && options.num_matrices == 1 && !options.allow_fp8 &&
                                         options.slab_rows % kernels::kFp8Tile == 0),
              name(), ": slabs are whole blocks of rows of one tensor without FP8");
  index_t rows = 0;
  for (const LinearPart& part : parts_) rows += part.rows;
  in_ = in, out_ = rows / options.num_matrices;
  const bool hold_fp8 = precision.fp8_weights && options.allow_fp8 && options.hold_fp8;
  weight_ = Tensor(hold_fp8 ? DType::kE4M3 : precision.compute, rows, in);
  if (hold_fp8) {
    index_t blocks = 0;
    for (const LinearPart& part : parts_) blocks += fp8_tiles(part.rows);
    scales_ = Tensor(DType::kF32, blocks, fp8_tiles(in));
  }
  if (options.bias) bias_ = Tensor(precision.wide(), 1, rows);
  if (options.train) {
    grad_ = Tensor(precision.wide(), rows, in);
    if (options.bias) bias_grad_ = Tensor(precision.wide(), 1, rows);
  }
  if (fp8_) {
    codes_ = Tensor(DType::kE4M3, rows, in);
    scales_ = Tensor(DType::kF32, options.num_matrices * fp8_tiles(rows / options.num_matrices), fp8_tiles(in));
  }
}

kernels::Fp8Const Linear::quantized_weight() const {
  return {codes_.view(), scales_.view().as<float>()};
}

/// Of rows of weight_ as E4M3 codes: a scale for each row and 128 columns. Blocks begin anew with each part.
Tensor Linear::scales_of_rows(index_t first, index_t count) const {
  Tensor of_rows(DType::kF32, count, scales_.cols());
  const auto to = of_rows.view().as<float>();
  const auto from = scales_.view().as<float>();
  index_t row = 0, block = 0;
  for (const LinearPart& part : parts_) {
    for (index_t r = std::max(first, row); r < std::min(first + count, row + part.rows); ++r)
      std::ranges::copy(from.row(block + (r - row) / kernels::kFp8Tile), to.row(r - first).begin());
    row += part.rows, block += fp8_tiles(part.rows);
  }
  return of_rows;
}

void Linear::wide_rows(Exec& ex, View to, index_t first) const {
  const ConstView rows = weight_.view().slice_rows(first, to.rows);
  if (held_fp8())
    kernels::fp8_dequantize_rows(ex, to, {rows, scales_of_rows(first, to.rows).view().as<float>()});
  else
    kernels::convert(ex, to, rows);
}

/// Rows of the stack from `first` on, from the source (E4M3: and the scales of whole parts into scales_).
void Linear::read_rows(const PackPass& pass, View to, index_t first) {
  index_t row = 0, block = 0;
  for (const LinearPart& part : parts_) {
    const index_t blocks = held_fp8() ? fp8_tiles(part.rows) : 0;
    const index_t begin = std::max(first, row), end = std::min(first + to.rows, row + part.rows);
    if (begin < end)
      pass.fill(Param{.name = part.name + ".weight",
                      .value = to.slice_rows(begin - first, end - begin),
                      .first_row = begin - row,
                      .scales = blocks > 0 ? scales_.view().slice_rows(block, blocks).as<float>() : Mat<float>{},
                      .grad = {}});
    row += part.rows, block += blocks;
  }
}

void Linear::pack(const PackPass& pass, PackAs as) {
  if (fp8_ || !packed_.empty()) return;
  const DType form = as.value_or(weight_.dtype());
  const index_t slab = options_.slab_rows > 0 ? options_.slab_rows : out_;
  bool taken = true;
  for (index_t first = 0; first < out_; first += slab)
    taken &= pack_slab(pass, form, first, std::min(slab, out_ - first));
  if (!taken) return;
  weight_ = packed_.empty() ? Tensor(weight_.dtype(), weight_.rows(), in_) : Tensor();
  if (!packed_.empty()) scales_ = Tensor();
}

/// Rows [first, first + rows) of the stack to `to`, a few at a time: what was read is still in a cache when it is
/// packed.
void Linear::pack_rows(const PackPass& pass, DType form, index_t first, index_t rows, Tensor& buffer, std::byte* to) {
  if (!pass.fill) return kernels::pack_matrix(pass.ex, to, weight_.view().slice_rows(first, rows), form);
  constexpr index_t kPiece = kernels::kPackedRows;
  // Integers are made of what the source holds, not of what bf16 leaves of it.
  const DType dtype = pass.finer_than_bf16 && kernels::is_int(form) ? DType::kF32 : weight_.dtype();
  if (buffer.empty()) buffer = Tensor(dtype, std::min(kPiece, rows), in_);
  for (index_t row = 0; row < rows; row += kPiece) {
    const View piece = buffer.view().slice_rows(0, std::min(kPiece, rows - row));
    read_rows(pass, piece, first + row);
    kernels::pack_matrix(pass.ex, to + kernels::packed_bytes(pass.ex, form, row, in_), piece, form);
  }
}

/// All rows of each matrix, or some of the only one.
bool Linear::pack_slab(const PackPass& pass, DType form, index_t first, index_t rows) {
  const auto pack_one = [&](index_t e, PackPass::Buffers& buffers, std::byte* to) {
    if (!held_fp8()) return pack_rows(pass, form, e * out_ + first, rows, buffers.values, to);
    if (pass.fill) {
      if (buffers.values.empty()) buffers.values = Tensor(DType::kE4M3, out_, in_);
      read_rows(pass, buffers.values.view(), e * out_);
    }
    const ConstView w = pass.fill ? buffers.values.view() : weight_.view().slice_rows(e * out_, out_);
    const Tensor scales = scales_of_rows(e * out_, out_);
    const kernels::Fp8Const codes{w, scales.view().as<float>()};
    if (form == DType::kE4M3) return kernels::pack_fp8_matrix(pass.ex, to, codes);
    if (buffers.wide.empty()) buffers.wide = Tensor(DType::kBF16, out_, in_);
    kernels::fp8_dequantize_rows(pass.ex, buffers.wide.view(), codes);
    kernels::pack_matrix(pass.ex, to, buffers.wide.view(), form);
  };
  std::optional<kernels::PackedWeights> packed;
  const std::string slab_name = first == 0 ? name() : str_cat(name(), ".row-", first);
  if (!pass.pack(packed, slab_name, {form, options_.num_matrices, rows, in_}, pack_one)) return false;
  if (packed) packed_.push_back(*std::move(packed));
  return true;
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
    index_t column = 0;
    for (const kernels::PackedWeights& slab : packed_) {
      kernels::packed_gemm_nt(ctx.exec, y.slice_cols(column, slab.rows), input, slab, rows, write);
      column += slab.rows;
    }
    if (packed_.empty()) kernels::grouped_gemm_nt(ctx.exec, y, input, weight_.view(), rows, write);
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
