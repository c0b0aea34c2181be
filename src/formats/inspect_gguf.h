#pragma once
#include "base/json.h"
#include "formats/gguf.h"

namespace hadal {

/// What a GGUF file holds: kind "gguf", version, files, metadata {key: value}, tensors, num_tensors, num_values, bytes,
/// dtypes (the last five as inspect() has them for safetensors). Shapes are row-major. Arrays of more than 8 elements
/// are shown as {"type": "array of 102400 string", "first": [...]}.
JsonObject inspect_gguf(const GgufFile& file);

}  // namespace hadal
