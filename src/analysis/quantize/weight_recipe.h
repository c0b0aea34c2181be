#pragma once
// What `hadal quantize` tries: a form for each class of weights.
#include <array>
#include <string>
#include <string_view>

#include "formats/ggml_type.h"
#include "nn/linear.h"

namespace hadal {

/// Classes of parameters by the part they play. dense: feed-forward layers that every token passes, and eh_proj; plain:
/// norms, biases and the router, which stay in f32.
enum class WeightClass : std::uint8_t { kEmbedding, kAttention, kDense, kExperts, kHead, kPlain };
inline constexpr std::array<std::string_view, 6> kWeightClassNames = {"embedding", "attention", "dense",
                                                                      "experts",   "head",      "plain"};
WeightClass weight_class(const Param& p);

/// A recipe is either what the engine holds in memory (PackRecipe) or what a GGUF file holds.
struct WeightRecipe {
  std::string text, weights;  // weights: without the cache
  PackRecipe pack;
  std::string cache;  // "" (no cache), or "fp8", "int8", "bf16": positions attend to what that cache holds
  bool gguf = false;
  std::array<GgmlType, 6> types{};  // by class, with gguf

  /// As PackRecipe::parse takes it, also with "cache=bf16|fp8|int8" (EngineOptions::cache), or with types of GGUF:
  /// "q4_k" for all matrices, or "experts=q4_k,attention=q8_0,head=q6_k", classes not named bf16 ("embedding" is one
  /// here). Throws Error on anything else, and when both kinds are mixed.
  static WeightRecipe parse(std::string_view text);
  GgmlType type_of(const Param& p) const { return types[static_cast<std::size_t>(weight_class(p))]; }
  /// Bytes of the values and scales in this form of a parameter of the model before it is packed.
  double bytes_of(const Param& p) const;
};

}  // namespace hadal
