#pragma once
// A model under several recipes: how large, how far from what it was.
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "analysis/quantize/logit_gap.h"
#include "analysis/quantize/weight_recipe.h"

namespace hadal {

struct QuantizeResult {
  std::string recipe;
  std::array<double, 6> bytes{};  // by WeightClass; values and scales, without padding
  double total_bytes = 0, bits_per_weight = 0;
  LogitGap gap;
};

/// Text as ids, and how it is run through the model.
struct QuantizeText {
  std::vector<int> ids;
  index_t window = 512;  // tokens that see each other
};

/// Runs the source (folder or GGUF file, weights and activations in f32), then each recipe over the same ids. Recipes
/// of the engine compute as the engine does (bf16 activations); those of GGUF in f32 with the values that the file
/// would hold. One model is in memory at a time, and the source's logits in f32. Throws Error when the ids do not fit.
std::vector<QuantizeResult> compare_recipes(ThreadPool& pool, const std::filesystem::path& source,
                                            const QuantizeText& text, std::span<const WeightRecipe> recipes);

/// Writes the source under a GGUF recipe, with its tokenizer if it has one.
void write_quantized(ThreadPool& pool, const std::filesystem::path& source, const WeightRecipe& recipe,
                     const std::filesystem::path& out);

}  // namespace hadal
