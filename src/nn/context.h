#pragma once
// What a module needs besides its input: kernels, memory, and how precise to be.
#include <functional>
#include <vector>

#include "formats/model_config.h"
#include "kernels/fp8.h"
#include "tensor/arena.h"

namespace hadal {

/// The dtype of every operand (DeepSeek-V3 report 3.3). Norm gains, router weights and statistics stay in f32 (f64 in
/// the f64 recipe, which exists for gradient checks and runs on the reference kernels).
struct Precision {
  DType compute = DType::kF32;  // weights and activations: f32, bf16, f64
  bool fp8 = false;             // linear layers multiply E4M3 operands (compute is bf16 then)
  // Inference as FP8 checkpoints are meant to run: inputs of quantised linear layers go through E4M3, 1x128 tiles; the
  // weights hold their dequantised values. kv_b_proj keeps its input (the absorbed form never runs it as a product).
  bool fp8_inputs = false;
  kernels::Scales fp8_input_scales = kernels::Scales::kF32;
  // Inference: linear layers hold the E4M3 codes and scales that an FP8 checkpoint has (other sources are quantised)
  // until Linear::pack. Not the router, the head and eh_proj, which checkpoints keep in bf16.
  bool fp8_weights = false;

  DType wide() const { return compute == DType::kF64 ? DType::kF64 : DType::kF32; }
  /// "f32", "bf16", "fp8", "f64".
  static Precision parse(std::string_view name);
  /// The same for running `config`: "fp8" is fp8_inputs in f32 there.
  static Precision for_inference(std::string_view name, const ModelConfig& config);
};

/// What backward computes again instead of keeping it (DeepSeek-V3 report 3.2.3).
struct Recompute {
  bool rmsnorm = true;  // outputs of RMSNorm
  bool mla_up = false;  // MLA up-projections (queries, keys, values of every head)
  bool swiglu = true;   // outputs of SwiGLU
};

/// A weight gradient that was put off: zero-bubble and DualPipe schedules run it when nothing else waits.
using DeferredWeightGrad = std::function<void()>;

struct Context {
  Exec& exec;
  Arena& saved;    // lives from forward to the end of backward
  Arena& scratch;  // temporaries; modules open an ArenaScope
  Precision precision;
  Recompute recompute;
  std::vector<DeferredWeightGrad>* deferred = nullptr;  // not null: linear layers append their weight gradients here

  View temp(index_t rows, index_t cols) { return scratch.view(precision.compute, rows, cols); }
  View temp_wide(index_t rows, index_t cols) { return scratch.view(precision.wide(), rows, cols); }
  View keep(index_t rows, index_t cols) { return saved.view(precision.compute, rows, cols); }
  View keep_wide(index_t rows, index_t cols) { return saved.view(precision.wide(), rows, cols); }
};

}  // namespace hadal
