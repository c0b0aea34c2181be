#pragma once
// What is in a model folder, a config.json, a safetensors or a GGUF file, without loading weights.
#include <filesystem>
#include <string>

#include "base/json.h"

namespace hadal {

/// Looks at a model folder (config.json, with or without weights), a config file (*.json), a *.safetensors or a
/// *.gguf file. Throws Error for anything else, and for files that are malformed.
///   folder, config:  kind "model", model_type, architecture, config (the keys that hadal writes), parameters {total,
///                    active, mtp}, kv_elements_per_token, kv_bytes_per_token (bf16), weights (as below, without the
///                    list; null when there are none)
///   safetensors:     kind "safetensors", metadata, tensors [{name, dtype, shape, bytes}], num_tensors, num_values,
///   bytes,
///                    dtypes {F32: {num_tensors, num_values, bytes}, ...}
///   GGUF:            see inspect_gguf.h
JsonObject inspect(const std::filesystem::path& path);

/// The same for people, on many lines.
std::string inspect_text(const JsonObject& report);

}  // namespace hadal
