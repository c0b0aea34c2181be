#include "infer/loaded_model.h"

#include "nn/weights.h"

namespace hadal {

Precision inference_precision(std::string_view weights, const ModelConfig& config) {
  const PackRecipe recipe = PackRecipe::parse(weights);
  Precision precision = Precision::for_inference(weights == "f32" || weights == "fp8" ? weights : "bf16", config);
  const bool stored =
      config.fp8 && config.fp8->block_rows == kernels::kFp8Tile && config.fp8->block_cols == kernels::kFp8Tile;
  precision.fp8_weights = stored && (weights == "as-stored" || weights == "fp8" || recipe.uses(DType::kE4M3));
  return precision;
}

LoadedModel::LoadedModel(const LoadOptions& o)
    : pool_(o.threads),
      exec(pool_),
      config(load_model_config(o.model)),
      ctx{exec, saved_, scratch_, inference_precision(o.weights, config), {}},
      model(config, ctx.precision, /*train=*/false) {
  load_weights(model, exec, o.model);
  model.pack(exec, PackRecipe::parse(o.weights));
  if (std::optional<TokenizerFiles> files = find_tokenizer_files(o.model)) {
    tokenizer_.emplace(*std::move(files));
    HADAL_CHECK(tokenizer_->vocab_size() <= config.vocab_size, o.model, ": the tokenizer has ",
                tokenizer_->vocab_size(), " tokens, config.json says vocab_size ", config.vocab_size);
  }
}

}  // namespace hadal
