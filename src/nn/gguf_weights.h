#pragma once
#include "formats/gguf.h"
#include "formats/tokenizer_files.h"
#include "nn/weight_source.h"

namespace hadal {

/// The parameters in a GGUF file (formats/gguf_model.h). MTP modules: GGUF has none; the config that it gives says so.
std::unique_ptr<WeightSource> open_gguf_weights(const std::filesystem::path& path);

/// Writes model and tokenizer (nullptr: none) as one GGUF file. type: kF32, kF16, kBF16 or kQ8_0 for matrices whose
/// rows it fits; vectors and routers are f32. MTP modules are left out.
void write_gguf_model(const std::filesystem::path& path, Model& model, const TokenizerFiles* tokenizer, GgmlType type);

}  // namespace hadal
