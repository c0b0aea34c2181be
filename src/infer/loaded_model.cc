#include "infer/loaded_model.h"

#include "base/log.h"
#include "base/stopwatch.h"
#include "nn/packed_cache.h"
#include "nn/weights.h"

namespace hadal {
namespace {

double percent(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace

LoadedModel::LoadedModel(const LoadOptions& o, const EngineOptions& engine_options)
    : pool_(o.threads),
      exec(pool_),
      config(load_model_config(o.model)),
      ctx{exec, saved_, scratch_, inference_precision(o.weights, config), {}},
      model(config, ctx.precision, /*train=*/false),
      engine(engine_options) {
  const MemoryPlan plan = plan_memory(model, exec, o, engine, memory_info());
  for (const std::string& line : plan.lines()) log_info(line);
  plan.check();
  engine.cache_tokens = plan.cache_tokens;
  const Stopwatch loading;
  load(o, plan);
  log_info(fmt::format("weights ready after {:.2f} s", loading.seconds()));
  if (std::optional<TokenizerFiles> files = find_tokenizer_files(o.model)) {
    tokenizer_.emplace(*std::move(files));
    HADAL_CHECK(tokenizer_->vocab_size() <= config.vocab_size, o.model, ": the tokenizer has ",
                tokenizer_->vocab_size(), " tokens, config.json says vocab_size ", config.vocab_size);
  }
}

void LoadedModel::log_experts() const {
  if (!experts_) return;
  const ExpertStats s = experts_->stats();
  log_info(fmt::format(
      "experts: {} needed, {:.1f}% in memory, {:.1f}% foreseen, {:.1f}% read when needed; {} read, {:.1f} s "
      "of waiting; {} of {} guesses came true",
      s.needed(), percent(s.hits, s.needed()), percent(s.foreseen, s.needed()), percent(s.misses, s.needed()),
      bytes_text(s.bytes_read), s.wait_seconds, s.foreseen, s.guesses));
}

void LoadedModel::load(const LoadOptions& o, const MemoryPlan& plan) {
  const PackRecipe recipe = PackRecipe::parse(o.weights);
  if (o.weights_cache.empty()) return load_packed(model, exec, o.model, recipe);
  packed_.emplace(open_packed_cache(o.weights_cache, model, exec, o.model, o.weights, recipe));
  if (plan.expert_places == 0) return use_mapped(model, exec, *packed_, recipe);
  experts_.emplace(*packed_, use_streamed(model, exec, *packed_, recipe), plan.expert_places);
  model.stream_experts(*experts_);
}

}  // namespace hadal
