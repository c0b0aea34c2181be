#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/packed_gemm.h"
#include "nn/context.h"
#include "nn/pack_pass.h"
#include "tensor/param.h"

namespace hadal {

/// Rows of a weight that are one tensor on disk. Projections that read the same input are stacked and run as one
/// product.
struct LinearPart {
  std::string name;  // Hugging Face name without ".weight"
  index_t rows = 0;
};

/// kE4M3, kI8 or kI4; nothing: as the weights are.
using PackAs = std::optional<DType>;

/// The form that inference holds each class of weights in. The router stays in f32.
struct PackRecipe {
  PackAs attention, dense, experts, head;  // dense: also shared experts and eh_proj

  /// "int8", "int4" (all of it), "int4-experts" (the rest int8), "fp8-weights" (the head as it is); "f32", "bf16",
  /// "fp8" and "as-stored" leave all as it is. Or class by class, also after one of these:
  /// "experts=int4,attention=int8", "int8,head=bf16". Throws Error on anything else.
  static PackRecipe parse(std::string_view text);
  bool uses(DType form) const { return attention == form || dense == form || experts == form || head == form; }
};

/// y = x W^T + b over E stacked matrices [E * out, in] (E = 1: an ordinary layer; E > 1: experts, rows of x sorted by
/// expert). In the fp8 recipe all three products multiply E4M3 operands (DeepSeek-V3 report 3.3).
class Linear {
 public:
  struct Options {
    index_t num_matrices = 1;
    bool bias = false;
    bool allow_fp8 = true;         // false: router, head
    bool hold_fp8 = true;          // false: not even with Precision::fp8_weights
    bool allow_fp8_inputs = true;  // false: kv_b_proj, see Precision::fp8_inputs
    bool power_of_two = false;     // scales of the input tiles
    bool train = false;            // allocate gradients
    index_t slab_rows = 0;         // pack() takes so many at a time, a multiple of 128; 0: all
  };
  Linear() = default;
  Linear(std::vector<LinearPart> parts, index_t in, Precision precision, Options options);

  /// Of the first tensor, without ".weight".
  const std::string& name() const { return parts_[0].name; }
  index_t in() const { return in_; }
  index_t out() const { return out_; }
  /// [E * out, in]. Not after pack().
  ConstView weight() const { return weight_.view(); }
  /// to (=) rows [first, first + to.rows) of weight(), E4M3 codes multiplied by their scales.
  void wide_rows(Exec& ex, View to, index_t first) const;
  View weight_grad() { return grad_.view(); }

  /// y (write) x W^T (+ b, with kAssign only). offsets: rows of each expert, empty for E = 1.
  void forward(Context& ctx, View y, ConstView x, Write write = Write::kAssign,
               std::span<const index_t> offsets = {}) const;
  /// dx (write) dy W
  void backward_input(Context& ctx, View dx, ConstView dy, Write write, std::span<const index_t> offsets = {}) const;
  /// dW += dy^T x, db += sum of dy. With ctx.deferred: later; dy, x and offsets must live until then.
  void backward_weight(Context& ctx, ConstView dy, ConstView x, std::span<const index_t> offsets = {});

  /// Rearranges the weights for inference (kernels/packed_gemm.h), as integers or E4M3 if asked, and gives up the order
  /// that everything but forward() reads. As they are, the results stay the same, bit for bit. With pass.fill the
  /// values are read a matrix at a time, so the layer never stands in memory twice (not the bias, which must have its
  /// values).
  void pack(const PackPass& pass, PackAs as = {});
  /// Where a packed layer lies; nullptr before.
  kernels::PackedWeights* packed() { return packed_.empty() ? nullptr : &packed_[0]; }

  /// Brings derived forms of the weight (FP8 codes) up to date; after loading and after every optimizer step.
  void refresh(Exec& ex);

  template <class V>
  void visit_params(V&& v) {
    HADAL_CHECK(packed_.empty(), parts_[0].name, ": the weights are packed for inference");
    index_t row = 0, block = 0;
    for (const LinearPart& part : parts_) {
      visit_part(v, part, row, block);
      row += part.rows, block += kernels::fp8_tiles(part.rows);
    }
  }

 private:
  template <class V>
  void visit_part(V&& v, const LinearPart& part, index_t row, index_t block) {
    v(Param{.name = part.name + ".weight",
            .value = weight_.view().slice_rows(row, part.rows),
            .scales =
                held_fp8() ? scales_.view().slice_rows(block, kernels::fp8_tiles(part.rows)).as<float>() : Mat<float>{},
            .grad = grad_.empty() ? View{} : grad_.view().slice_rows(row, part.rows)});
    if (options_.bias)
      v(Param{.name = part.name + ".bias",
              .is_vector = true,
              .value = bias_.view().slice_cols(row, part.rows),
              .grad = bias_grad_.empty() ? View{} : bias_grad_.view().slice_cols(row, part.rows)});
  }

  std::vector<LinearPart> parts_;
  Options options_;
  bool fp8_ = false, fp8_inputs_ = false;
  kernels::Scales input_scales_ = kernels::Scales::kF32;
  index_t in_ = 0, out_ = 0;
  Tensor weight_, grad_, bias_, bias_grad_;
  std::vector<kernels::PackedWeights> packed_;  // instead of weight_: slabs of its rows, mostly one
  Tensor codes_, scales_;  // fp8: E4M3 weights and their 128x128 block scales; held_fp8(): the scales of weight_
  bool held_fp8() const { return weight_.dtype() == DType::kE4M3; }
  Tensor scales_of_rows(index_t first, index_t count) const;
  bool pack_slab(const PackPass& pass, DType form, index_t first, index_t rows);
  void pack_rows(const PackPass& pass, DType form, index_t first, index_t rows, Tensor& buffer, std::byte* to);
  void read_rows(const PackPass& pass, View to, index_t first);
  kernels::Fp8Const quantized_weight() const;
};

}  // namespace hadal
