#pragma once
#include <string>

#include "tensor/view.h"

namespace hadal {

/// A named learnable tensor. Modules own the memory; this is what loading, saving, the optimizer and sharding walk
/// over. The name is the Hugging Face one.
struct Param {
  std::string name;
  bool is_vector = false;  // one dimension on disk (norm gains, biases); `value` then has one row
  View value;              // in the model's compute dtype, or E4M3 codes with `scales`
  index_t first_row = 0;   // of the tensor, where `value` holds some of its rows only (PackPass::fill)
  Mat<float> scales = {};  // [ceil(rows / 128), ceil(cols / 128)] of E4M3 codes: value = code * scale
  View grad;               // f32 (f64 when value is); empty when the model was built for inference
  bool trainable = true;   // false: the router's e_score_correction_bias, moved by train/balance
};

}  // namespace hadal
