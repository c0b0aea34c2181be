#include "infer/loaded_model.h"

#include <filesystem>

#include "formats/gguf.h"
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
  const std::filesystem::path path(o.model);
  const bool gguf = path.extension() == ".gguf";
  if (gguf ? GgufFile(path).metadata().contains("tokenizer.ggml.model")
           : std::filesystem::exists(path / "tokenizer.json")) {
    tokenizer_.emplace(Tokenizer::load(o.model));
    HADAL_CHECK(tokenizer_->vocab_size() <= config.vocab_size, o.model, ": the tokenizer has ",
                tokenizer_->vocab_size(), " tokens, config.json says vocab_size ", config.vocab_size);
  }
}

}  // namespace hadal
