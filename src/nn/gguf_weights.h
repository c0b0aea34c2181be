#pragma once
#include "formats/gguf.h"
#include "formats/tokenizer_files.h"
#include "nn/model.h"

namespace hadal {

/// Fills every parameter from a GGUF file (formats/gguf_model.h), in the dtype of the model. Throws Error and names all
/// tensors that are missing, left over or of the wrong shape. MTP modules: GGUF has none; config() says so.
void load_gguf_weights(Model& model, Exec& ex, const GgufFile& file);

/// Writes model and tokenizer (nullptr: none) as one GGUF file. type: kF32, kF16, kBF16 or kQ8_0 for matrices whose
/// rows it fits; vectors and routers are f32. MTP modules are left out.
void write_gguf_model(const std::filesystem::path& path, Model& model, const TokenizerFiles* tokenizer, GgmlType type);

}  // namespace hadal
