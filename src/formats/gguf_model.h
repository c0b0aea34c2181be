#pragma once
// Models in GGUF files, as the tools around llama.cpp write them: what the metadata says of the architecture, and which
// tensor holds what Hugging Face has under another name.
#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "formats/model_config.h"

namespace hadal {

/// The config of a file of architecture llama, qwen2, qwen3, deepseek or deepseek2. Throws Error on other ones and on
/// values that no model has. What early files leave out is told from the tensors: biased routers are V3's, 256 experts
/// without groups have V3's groups, rope_freqs is Llama 3's scaling.
ModelConfig gguf_model_config(const GgufFile& file);

/// How latent attention stands in a file. kLegacy: kv_b_proj as one tensor, sizes as of ordinary heads; llama.cpp of
/// any age and ik_llama.cpp read it. kSplit: attn_k_b and attn_v_b, sizes as of the cache (ik_llama.cpp: V3's sizes
/// only).
enum class GgufMla : std::uint8_t { kLegacy, kSplit };

/// The metadata of a config: the inverse, under "general." and the architecture's name. Throws Error for scalings that
/// GGUF has no key for.
GgufPairs gguf_metadata(const ModelConfig& config, GgufMla mla = GgufMla::kLegacy);

/// The tensor rope_freqs.weight of Llama 3's scaling: by what each frequency is divided. Empty for other scalings.
std::vector<float> rope_divisors(const ModelConfig& config);

/// Where GGUF keeps the values of one of our parameters.
struct GgufPlace {
  enum class Layout : std::uint8_t {
    kPlain,
    kInterleaved,  // rows of each head: the two halves of the rotation row by row in turn
    kKvB,          // kv_b_proj: one tensor (attn_kv_b), or attn_k_b (transposed) and attn_v_b
  };
  std::string tensor;
  int expert = -1;  // of a stacked tensor [E, rows, cols]
  Layout layout = Layout::kPlain;
  int heads = 0;  // kInterleaved
};
/// Throws Error for a name that no GGUF file has (MTP modules).
GgufPlace gguf_place(const ModelConfig& config, std::string_view hf_name);

}  // namespace hadal
