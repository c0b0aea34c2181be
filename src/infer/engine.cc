#include "infer/engine.h"

#include <unistd.h>

#include <algorithm>

#include "infer/engine_impl.h"

namespace hadal {
namespace {

std::int64_t context_of(const ModelConfig& config, const EngineOptions& o) {
  if (o.context == 0) return config.max_position_embeddings;
  HADAL_CHECK(o.context > 0 && o.context <= config.max_position_embeddings, "engine: context ", o.context,
              ", the model takes at most ", config.max_position_embeddings);
  return o.context;
}

}  // namespace

int cache_pages(const ModelConfig& config, DType compute, const EngineOptions& o) {
  if (o.cache_tokens > 0) return pages_of(o.cache_tokens);
  const std::int64_t memory = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const index_t layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  const index_t page_bytes =
      cache_bytes(config, compute, parse_cache_format(o.cache, compute)) * kernels::kAttentionPage * layers;
  const index_t wanted = index_t{o.max_batch} * pages_of(context_of(config, o));
  return narrow<int>(std::max<index_t>(pages_of(context_of(config, o)), std::min(wanted, memory / 4 / page_bytes)));
}

Engine::Impl::Impl(Context& c, Model& m, const Tokenizer* t, const EngineOptions& o)
    : ctx(c),
      model(m),
      tokenizer(t),
      options(o),
      context(context_of(m.config(), o)),
      with_mtp(m.config().num_nextn_predict_layers > 0 && (o.speculation == "mtp" || o.speculation == "auto")),
      cache(m.config(), m.precision().compute, cache_pages(m.config(), m.precision().compute, o),
            parse_cache_format(o.cache, m.precision().compute)),
      pages(cache.num_pages),
      prefixes(pages, narrow<int>(kernels::kAttentionPage)),
      depth(o.draft_tokens, /*fixed=*/o.speculation == "mtp"),
      pacer(o.prefill_chunk, o.step_ms / 1e3) {
  HADAL_CHECK(o.max_batch > 0 && o.prefill_chunk > 0 && o.max_queue >= 0, "engine: max_batch ", o.max_batch,
              ", prefill_chunk ", o.prefill_chunk, ", max_queue ", o.max_queue);
  HADAL_CHECK(o.speculation != "mtp" || with_mtp,
              "engine: speculation mtp needs a model with an MTP layer; num_nextn_predict_layers is 0");
  stats.cache_tokens_total = index_t{cache.num_pages} * kernels::kAttentionPage;
}

Engine::Engine(Context& ctx, Model& model, const Tokenizer* tokenizer, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(ctx, model, tokenizer, options)) {}
Engine::~Engine() = default;

std::int64_t Engine::context() const {
  return impl_->context;
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->stats;
}

std::uint64_t Engine::submit(Request r) {
  Impl& e = *impl_;
  const ModelConfig& config = e.model.config();
  HADAL_CHECK(!r.prompt.empty(), "the prompt has no tokens");
  for (const int id : r.prompt)
    HADAL_CHECK(id >= 0 && id < config.vocab_size, "token ", id, " is outside of the vocabulary of ",
                config.vocab_size);
  HADAL_CHECK(r.n >= 1 && r.n <= e.options.max_batch, "n is ", r.n, ", want 1 to ", e.options.max_batch);
  HADAL_CHECK(r.stop.max_tokens >= 0 && r.stop.min_tokens >= 0, "max_tokens ", r.stop.max_tokens, ", min_tokens ",
              r.stop.min_tokens);
  const std::int64_t length = std::ssize(r.prompt) + r.stop.max_tokens;
  HADAL_CHECK(length <= e.context, "prompt of ", r.prompt.size(), " tokens and max_tokens ", r.stop.max_tokens,
              " exceed the context of ", e.context);
  HADAL_CHECK(pages_needed(r) <= e.pages.size(), "prompt of ", r.prompt.size(), " tokens and ", r.n, " answers of ",
              r.stop.max_tokens, " exceed the cache of ", index_t{e.pages.size()} * kernels::kAttentionPage);
  HADAL_CHECK(e.tokenizer != nullptr || r.stop.texts.empty(), "stop texts need a tokenizer");
  HADAL_CHECK(e.tokenizer != nullptr || !r.thinking, "bounds on thinking need a tokenizer");
  HADAL_CHECK(!r.thinking || !r.thinking->end.empty(), "thinking: the text that ends it is empty");
  HADAL_CHECK(r.stop.repetition_guard >= 0, "repetition_guard is ", r.stop.repetition_guard, ", want 0 or more tokens");
  for (const int id : r.stop.ids)
    HADAL_CHECK(id >= 0 && id < config.vocab_size, "stop id ", id, " is outside of the vocabulary of ",
                config.vocab_size);
  HADAL_CHECK(r.logprobs <= config.vocab_size, "logprobs ", r.logprobs, " of ", config.vocab_size, " tokens");
  static_cast<void>(Sampler(r.sampling, r.prompt, config.vocab_size));  // its checks
  static_cast<void>(StopMatcher(r.stop.texts));
  auto job = std::make_unique<Job>();
  job->request = std::move(r);
  job->submitted = Clock::now();
  const std::lock_guard lock(e.mutex);
  if (e.queued >= e.options.max_queue) throw QueueFull(str_cat(e.queued, " requests wait already"));
  job->id = ++e.last_id;
  ++e.queued;
  e.orders.push_back(std::move(job));
  e.stats.waiting = e.queued;
  return e.last_id;
}

void Engine::cancel(std::uint64_t request) {
  const std::lock_guard lock(impl_->mutex);
  impl_->cancels.push_back(request);
}

void Engine::cancel_all() {
  Impl& e = *impl_;
  e.take_orders();
  for (const std::unique_ptr<Job>& job : e.waiting) e.end_all(*job, FinishReason::kCancelled, "");
  for (const std::unique_ptr<Job>& job : e.running) e.end_all(*job, FinishReason::kCancelled, "");
  {
    const std::lock_guard lock(e.mutex);
    e.queued -= std::ssize(e.waiting);
  }
  e.waiting.clear();
  e.drop_finished();
  e.update_stats();
}

void Engine::weights_changed() {
  HADAL_CHECK(impl_->running.empty(), "engine: the weights changed under ", impl_->running.size(), " running requests");
  impl_->prefixes.make_room(impl_->pages.size());
}

bool Engine::step() {
  Impl& e = *impl_;
  e.take_orders();
  e.admit_waiting();
  const bool work = !e.running.empty();
  if (work) {
    try {
      e.run_batch();
    } catch (const Error& error) {  // a fault of this batch must not end the others
      for (const std::unique_ptr<Job>& job : e.running) e.end_all(*job, FinishReason::kError, error.what());
    }
    e.drop_finished();
    const std::lock_guard lock(e.mutex);
    ++e.stats.steps;
  }
  e.update_stats();
  return work;
}

}  // namespace hadal
