#include "infer/loaded_model.h"

namespace hadal {

LoadedModel::LoadedModel(const ModelOptions& options)
    : pool(options.threads),
      exec(pool),
      context{exec, saved, scratch, Precision::parse(options.weights), {}},
      tokenizer(Tokenizer::load(options.model)),
      model(load_model(exec, options.model, context.precision, false)) {
  const TokenizerConfig& config = tokenizer.files().config;
  if (!config.chat_template.empty())
    chat_template.emplace(ChatTemplate::from_config(config, options.model + ": chat template"));
  HADAL_CHECK(tokenizer.vocab_size() <= model.config().vocab_size, options.model, ": the tokenizer has ",
              tokenizer.vocab_size(), " ids, the model only ", model.config().vocab_size);
}

}  // namespace hadal
