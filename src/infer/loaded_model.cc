#include "infer/loaded_model.h"

#include "nn/weights.h"

namespace hadal {

LoadedModel::LoadedModel(const LoadOptions& o)
    : pool_(o.threads),
      exec(pool_),
      config(load_model_config(o.model)),
      ctx{exec,
          saved_,
          scratch_,
          Precision::for_inference(o.weights.starts_with("int") ? "bf16" : o.weights, config),
          {}},
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
