#include "infer/engine.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "infer/job.h"
#include "infer/prefix_cache.h"
#include "infer/prompt_logprobs.h"

namespace hadal {
namespace {

std::int64_t context_of(const ModelConfig& config, const EngineOptions& o) {
  if (o.context == 0) return config.max_position_embeddings;
  HADAL_CHECK(o.context > 0 && o.context <= config.max_position_embeddings, "engine: context ", o.context,
              ", the model takes at most ", config.max_position_embeddings);
  return o.context;
}

/// Pages for max_batch contexts, within a quarter of the machine's memory.
int num_pages_of(const ModelConfig& config, DType dtype, const EngineOptions& o) {
  if (o.cache_tokens > 0) return pages_of(o.cache_tokens);
  const std::int64_t memory = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const index_t layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  const index_t page_bytes = bytes_of(dtype, cache_width(config) * kernels::kAttentionPage) * layers;
  const index_t wanted = index_t{o.max_batch} * pages_of(context_of(config, o));
  return narrow<int>(std::max<index_t>(pages_of(context_of(config, o)), std::min(wanted, memory / 4 / page_bytes)));
}

void copy_page(const KvCache& cache, int to, int from) {
  for (const LayerCache& layer : cache.layers)
    for (const View& v : {layer.k, layer.v}) {
      const index_t bytes = bytes_of(v.dtype, v.cols * kernels::kAttentionPage);
      std::memcpy(v.data + to * bytes, v.data + from * bytes, static_cast<std::size_t>(bytes));
    }
}

bool contains(std::span<const int> ids, int id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

struct Engine::Impl {
  Impl(Context& c, Model& m, const Tokenizer* t, const EngineOptions& o)
      : ctx(c),
        model(m),
        tokenizer(t),
        options(o),
        context(context_of(m.config(), o)),
        cache(m.config(), m.precision().compute, num_pages_of(m.config(), m.precision().compute, o)),
        pages(cache.num_pages),
        prefixes(pages, narrow<int>(kernels::kAttentionPage)) {
    HADAL_CHECK(o.max_batch > 0 && o.prefill_chunk > 0 && o.max_queue >= 0, "engine: max_batch ", o.max_batch,
                ", prefill_chunk ", o.prefill_chunk, ", max_queue ", o.max_queue);
    stats.cache_tokens_total = index_t{cache.num_pages} * kernels::kAttentionPage;
  }

  // What one step does.
  void take_orders();
  bool admit(Job& job);
  void admit_waiting();
  void run_batch();
  void fork_answers(Job& job);
  void draw(Job& job, Answer& answer, std::span<const float> logits_V);
  void end(Job& job, Answer& answer, FinishReason reason, TokenEvent event);
  void end_all(Job& job, FinishReason reason, const std::string& error);
  void release(Job& job);
  void drop_finished();
  void update_stats();

  Context& ctx;
  Model& model;
  const Tokenizer* tokenizer;
  EngineOptions options;
  std::int64_t context;
  KvCache cache;
  PagePool pages;
  PrefixCache prefixes;
  std::deque<std::unique_ptr<Job>> waiting;  // as they will be admitted
  std::vector<std::unique_ptr<Job>> running;

  std::mutex mutex;  // guards what follows
  std::vector<std::unique_ptr<Job>> orders;
  std::vector<std::uint64_t> cancels;
  std::uint64_t last_id = 0;
  std::int64_t queued = 0;  // in orders and waiting
  EngineStats stats;
};

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

/// New requests join the queue, cancelled ones leave.
void Engine::Impl::take_orders() {
  std::vector<std::uint64_t> cancelled;
  {
    const std::lock_guard lock(mutex);
    for (std::unique_ptr<Job>& job : orders) {
      const auto later = [&](const std::unique_ptr<Job>& other) {
        return other->request.priority < job->request.priority;
      };
      waiting.insert(std::find_if(waiting.begin(), waiting.end(), later), std::move(job));
    }
    orders.clear();
    cancelled.swap(cancels);
  }
  for (const std::uint64_t id : cancelled) {
    const auto is_it = [&](const std::unique_ptr<Job>& job) { return job->id == id; };
    if (const auto at = std::find_if(waiting.begin(), waiting.end(), is_it); at != waiting.end()) {
      end_all(**at, FinishReason::kCancelled, "");
      waiting.erase(at);
      const std::lock_guard lock(mutex);
      --queued;
    } else if (const auto busy = std::find_if(running.begin(), running.end(), is_it); busy != running.end()) {
      end_all(**busy, FinishReason::kCancelled, "");
    }
  }
  drop_finished();
}

/// Gives a request all the pages that it may come to need, so that it never has to stop for want of them.
bool Engine::Impl::admit(Job& job) {
  const Request& r = job.request;
  // The last token of the prompt is always computed: its logits are needed.
  if (options.prefix_cache && !r.prompt_logprobs)
    job.pages = prefixes.find(std::span(r.prompt).first(r.prompt.size() - 1));
  const auto reused = static_cast<int>(job.pages.size());
  const int needed = pages_needed(r) - reused;
  if (!prefixes.make_room(needed)) {
    for (const int page : job.pages) pages.release(page);
    job.pages.clear();
    return false;
  }
  job.done = job.reused = index_t{reused} * kernels::kAttentionPage;
  while (static_cast<int>(job.pages.size()) < pages_of(job.prompt_size())) job.pages.push_back(pages.take());
  const int whole = static_cast<int>(job.prompt_size() / kernels::kAttentionPage);
  const auto all = static_cast<std::size_t>(pages_of(job.prompt_size() + r.stop.max_tokens));
  for (int c = 0; c < r.n; ++c) {
    Answer& answer = job.answers.emplace_back();
    answer.choice = c;
    // The first answer goes on in the prompt's pages; the others share the whole ones and get a copy of the last.
    const auto shared = c == 0 ? job.pages.size() : static_cast<std::size_t>(whole);
    answer.pages.assign(job.pages.begin(), job.pages.begin() + static_cast<std::ptrdiff_t>(shared));
    for (const int page : answer.pages) pages.share(page);
    while (answer.pages.size() < all) answer.pages.push_back(pages.take());
    SamplingParams sampling = r.sampling;
    sampling.seed += static_cast<std::uint64_t>(c);
    answer.sampler.emplace(sampling, r.prompt, model.config().vocab_size);
    if (tokenizer != nullptr) answer.text.emplace(*tokenizer, r.stop.texts, true, r.stop.min_tokens);
  }
  job.admitted = Clock::now();
  return true;
}

void Engine::Impl::admit_waiting() {
  int answers = 0;
  for (const std::unique_ptr<Job>& job : running) answers += job->request.n;
  while (!waiting.empty() && answers + waiting.front()->request.n <= options.max_batch && admit(*waiting.front())) {
    answers += waiting.front()->request.n;
    running.push_back(std::move(waiting.front()));
    waiting.pop_front();
    const std::lock_guard lock(mutex);
    --queued;
  }
}

/// One forward pass: a token of every answer, then pieces of prompts in the order of their admission.
void Engine::Impl::run_batch() {
  struct Row {  // whose logits are wanted
    index_t at;
    Job* job;
    Answer* answer;  // nullptr: the end of a prompt
  };
  struct Piece {
    Job* job;
    index_t first_row, begin, length;
  };
  std::vector<int> ids;
  std::vector<SequenceSlice> slices;
  std::vector<Row> rows;
  std::vector<Piece> pieces;
  for (const std::unique_ptr<Job>& job : running) {
    if (job->prefilling()) continue;
    for (Answer& a : job->answers) {
      if (a.over) continue;
      rows.push_back({std::ssize(ids), job.get(), &a});
      slices.push_back({a.length, 1, a.pages, model.config().uses_mla()});
      ids.push_back(a.tokens.back());
    }
  }
  index_t budget = options.prefill_chunk;
  for (const std::unique_ptr<Job>& job : running) {
    if (!job->prefilling() || budget == 0) continue;
    const index_t length = std::min(budget, job->prompt_size() - job->done);
    pieces.push_back({job.get(), std::ssize(ids), job->done, length});
    slices.push_back({job->done, length, job->pages, false});
    const auto begin = job->request.prompt.begin() + job->done;
    ids.insert(ids.end(), begin, begin + length);
    budget -= length;
    if (job->done + length == job->prompt_size()) rows.push_back({std::ssize(ids) - 1, job.get(), nullptr});
  }

  const ArenaScope scope(ctx.scratch);
  const index_t hidden_size = model.config().hidden_size, vocab_size = model.config().vocab_size;
  const View hidden = ctx.temp(std::ssize(ids), hidden_size);
  model.forward(ctx, hidden, ids, cache, slices);
  const View wanted = ctx.temp(std::ssize(rows), hidden_size), logits = ctx.temp_wide(std::ssize(rows), vocab_size);
  for (index_t i = 0; i < wanted.rows; ++i)
    std::memcpy(wanted.slice_rows(i, 1).data, hidden.slice_rows(rows[static_cast<std::size_t>(i)].at, 1).data,
                static_cast<std::size_t>(bytes_of(hidden.dtype, hidden_size)));
  if (!rows.empty()) model.logits(ctx, logits, wanted);

  for (const Piece& p : pieces) {
    if (p.job->request.prompt_logprobs && !p.job->over())
      send_prompt_logprobs(ctx, model, hidden.slice_rows(p.first_row, p.length), p.job->id, p.job->request, p.begin);
    p.job->done += p.length;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Job& job = *rows[i].job;
    const std::span<const float> row = logits.slice_rows(static_cast<index_t>(i), 1).flat<float>();
    if (rows[i].answer != nullptr) {
      ++rows[i].answer->length;
      draw(job, *rows[i].answer, row);
      continue;
    }
    fork_answers(job);
    for (Answer& a : job.answers) draw(job, a, row);
  }
}

/// The prompt is in the cache: its answers begin, and later prompts may find it.
void Engine::Impl::fork_answers(Job& job) {
  const index_t whole = job.prompt_size() / kernels::kAttentionPage;
  for (Answer& a : job.answers) {
    a.length = job.prompt_size();
    if (a.choice > 0 && job.prompt_size() % kernels::kAttentionPage != 0)
      copy_page(cache, a.pages[static_cast<std::size_t>(whole)], job.pages[static_cast<std::size_t>(whole)]);
  }
  if (options.prefix_cache) prefixes.insert(job.request.prompt, job.pages);
  for (const int page : job.pages) pages.release(page);
  job.pages.clear();
  job.prefilled = Clock::now();
}

void Engine::Impl::draw(Job& job, Answer& a, std::span<const float> logits_V) {
  const Request& r = job.request;
  TokenEvent event;
  event.request = job.id, event.choice = a.choice;
  if (r.stop.max_tokens == 0) return end(job, a, FinishReason::kLength, std::move(event));
  const std::vector<int>& eos = model.config().eos_token_ids;
  const auto count = static_cast<int>(a.tokens.size());
  try {
    if (count < r.stop.min_tokens) {
      if (!r.stop.ignore_eos) a.sampler->ban(eos);
      a.sampler->ban(r.stop.ids);
    }
    const auto position = static_cast<std::uint64_t>(job.prompt_size() + count);
    Sampler::Choice choice = a.sampler->choose(logits_V, position, r.logprobs);
    event.token = choice.id, event.logprob = {choice.id, choice.logprob}, event.top = std::move(choice.top);
  } catch (const Error& error) {
    event.error = error.what();
    return end(job, a, FinishReason::kError, std::move(event));
  }
  a.sampler->accept(event.token);
  a.tokens.push_back(event.token);
  const bool stops = (!r.stop.ignore_eos && contains(eos, event.token)) || contains(r.stop.ids, event.token);
  if (stops) return end(job, a, FinishReason::kStop, std::move(event));
  if (a.text) {
    TextOutput::Piece piece = a.text->push(event.token);
    event.text = std::move(piece.text);
    if (piece.stopped) {
      a.text.reset();  // what it holds back is the stop text
      return end(job, a, FinishReason::kStop, std::move(event));
    }
  }
  if (count + 1 == r.stop.max_tokens) return end(job, a, FinishReason::kLength, std::move(event));
  if (r.sink) r.sink(event);
}

void Engine::Impl::end(Job& job, Answer& a, FinishReason reason, TokenEvent event) {
  const auto now = Clock::now();
  a.over = true;
  if (a.text) event.text += a.text->finish();
  event.finish = reason;
  event.usage = {
      .prompt_tokens = job.prompt_size(), .cached_tokens = job.reused, .completion_tokens = std::ssize(a.tokens)};
  const bool admitted = job.admitted != Clock::time_point(), prefilled = job.prefilled != Clock::time_point();
  event.usage.queue_seconds = seconds_between(job.submitted, admitted ? job.admitted : now);
  if (admitted) event.usage.prefill_seconds = seconds_between(job.admitted, prefilled ? job.prefilled : now);
  if (prefilled) event.usage.decode_seconds = seconds_between(job.prefilled, now);
  if (job.request.sink) job.request.sink(event);
}

/// Ends what is not over yet, also of a request that still waits.
void Engine::Impl::end_all(Job& job, FinishReason reason, const std::string& error) {
  while (static_cast<int>(job.answers.size()) < job.request.n) {
    const int choice = static_cast<int>(job.answers.size());
    job.answers.emplace_back().choice = choice;
  }
  for (Answer& a : job.answers) {
    if (a.over) continue;
    TokenEvent event;
    event.request = job.id, event.choice = a.choice, event.error = error;
    end(job, a, reason, std::move(event));
  }
  job.done = job.prompt_size();
}

void Engine::Impl::release(Job& job) {
  for (const int page : job.pages) pages.release(page);
  for (const Answer& a : job.answers)
    for (const int page : a.pages) pages.release(page);
}

void Engine::Impl::drop_finished() {
  std::erase_if(running, [&](const std::unique_ptr<Job>& job) {
    if (!job->over()) return false;
    release(*job);
    const std::lock_guard lock(mutex);
    ++stats.finished;
    stats.prompt_tokens += job->prompt_size();
    stats.cached_tokens += job->reused;
    for (const Answer& a : job->answers) stats.completion_tokens += std::ssize(a.tokens);
    return true;
  });
}

void Engine::Impl::update_stats() {
  const std::lock_guard lock(mutex);
  stats.waiting = queued, stats.running = std::ssize(running);
  stats.cache_tokens_used =
      (index_t{pages.size()} - pages.num_free() - prefixes.num_evictable()) * kernels::kAttentionPage;
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
