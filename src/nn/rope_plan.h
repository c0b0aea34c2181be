#pragma once
#include <vector>

#include "formats/model_config.h"
#include "kernels/rope.h"
#include "tensor/storage.h"

namespace hadal {

/// How a model rotates: from config.json's rope settings (YaRN as DeepSeek implements it, llama3, linear; spec 4).
struct RopePlan {
  std::vector<double> inverse_frequency;  // [R / 2]
  double gain = 1;                        // on cos and sin
  double softmax_factor = 1;              // on the softmax scale
  kernels::RopeStyle style = kernels::RopeStyle::kInterleaved;
};

/// The plan for the rotated width of this model (qk_rope_head_dim or head_dim).
RopePlan make_rope_plan(const ModelConfig& config);

/// The cos/sin table [num_positions, R] that kernels::rope takes; dtype f32 or f64.
Tensor make_rope_table(const RopePlan& plan, index_t num_positions, DType dtype);

}  // namespace hadal
