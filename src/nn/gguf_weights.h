#pragma once
#include <functional>

#include "formats/gguf_model.h"
#include "formats/tokenizer_files.h"
#include "nn/weight_source.h"

namespace hadal {

/// The parameters in a GGUF file (formats/gguf_model.h). MTP modules: GGUF has none; the config that it gives says so.
std::unique_ptr<WeightSource> open_gguf_weights(const std::filesystem::path& path);

/// The type of each matrix of a file: one that can_quantize.
using GgufTypes = std::function<GgmlType(const Param&)>;

/// `type` for rows of `cols` values, or when they are no whole blocks Q8_0, or F16.
GgmlType fitting_type(GgmlType type, index_t cols);

/// Writes model and tokenizer (nullptr: none) as one GGUF file, matrices as fitting_type of what `type_of` says;
/// vectors and routers are f32. MTP modules are left out. The model's parameters are f32 or bf16.
void write_gguf_model(Exec& ex, const std::filesystem::path& path, Model& model, const TokenizerFiles* tokenizer,
                      const GgufTypes& type_of, GgufMla mla = GgufMla::kLegacy);

}  // namespace hadal
