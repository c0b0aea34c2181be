// What one step of the engine does: orders, admission, a pass over the model, tokens.
#include <algorithm>
#include <utility>

#include "infer/engine_impl.h"
#include "infer/prompt_logprobs.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

/// The first `length` entries of a page.
void copy_page(const KvCache& cache, int to, int from, index_t length) {
  for (const LayerCache& layer : cache.layers)
    for (const View& v : {layer.k, layer.v}) {
      const auto rows = [&](int page) { return v.slice_rows(page * kernels::kAttentionPage, length); };
      copy_rows(rows(to), rows(from));
    }
}

bool contains(std::span<const int> ids, int id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

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
    if (options.speculation == "ngram" && r.speculate) answer.draft.emplace(r.prompt);
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
    pages_moved = true;
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
    Answer* answer;  // nullptr: the end of a prompt; rows of an answer's proposal follow each other
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
      const int left = job->request.stop.max_tokens - static_cast<int>(a.tokens.size());
      a.proposal = a.draft ? a.draft->propose(left - 1) : std::vector<int>();
      slices.push_back({a.length, 1 + std::ssize(a.proposal), a.pages, model.config().uses_mla()});
      for (index_t i = 0; i < slices.back().length; ++i) {
        rows.push_back({std::ssize(ids), job.get(), &a});
        ids.push_back(i == 0 ? a.tokens.back() : a.proposal[static_cast<std::size_t>(i - 1)]);
      }
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
    copy_rows(wanted.slice_rows(i, 1), hidden.slice_rows(rows[static_cast<std::size_t>(i)].at, 1));
  if (!rows.empty()) model.logits(ctx, logits, wanted);

  for (const Piece& p : pieces) {
    if (p.job->request.prompt_logprobs && !p.job->over())
      send_prompt_logprobs(ctx, model, hidden.slice_rows(p.first_row, p.length), p.job->id, p.job->request, p.begin);
    p.job->done += p.length;
  }
  const auto row_of = [&](std::size_t i) -> std::span<const float> {
    return logits.slice_rows(static_cast<index_t>(i), 1).flat<float>();
  };
  for (std::size_t i = 0; i < rows.size();) {
    Job& job = *rows[i].job;
    if (rows[i].answer != nullptr) {
      draw_proposed(job, *rows[i].answer, i, row_of);
      i += 1 + rows[i].answer->proposal.size();
      continue;
    }
    fork_answers(job);
    for (Answer& a : job.answers) draw(job, a, row_of(i));
    ++i;
  }
}

/// Draws the next token from row `first`, and from the rows of the proposal for as long as it guessed right. What is
/// drawn depends on logits and position alone, so this is what one token a step would have given.
void Engine::Impl::draw_proposed(Job& job, Answer& a, std::size_t first,
                                 const std::function<std::span<const float>(std::size_t)>& row_of) {
  std::size_t right = 0;
  while (true) {
    ++a.length;
    draw(job, a, row_of(first + right));
    if (a.over || right == a.proposal.size() || a.tokens.back() != a.proposal[right]) break;
    ++right;
  }
  a.drafted += std::ssize(a.proposal), a.accepted += static_cast<std::int64_t>(right);
  if (a.draft) a.draft->judge(static_cast<int>(a.proposal.size()), static_cast<int>(right));
}

/// The prompt is in the cache: its answers begin, and later prompts may find it.
void Engine::Impl::fork_answers(Job& job) {
  const auto whole = static_cast<std::size_t>(job.prompt_size() / kernels::kAttentionPage);
  const index_t rest = job.prompt_size() % kernels::kAttentionPage;
  for (Answer& a : job.answers) {
    a.length = job.prompt_size();
    if (a.choice > 0 && rest > 0) copy_page(cache, a.pages[whole], job.pages[whole], rest);
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
  if (a.draft) a.draft->add(event.token);
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
  event.usage = {.prompt_tokens = job.prompt_size(),
                 .cached_tokens = job.reused,
                 .completion_tokens = std::ssize(a.tokens),
                 .drafted_tokens = a.drafted,
                 .accepted_tokens = a.accepted};
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
    pages_moved = true;
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
  // A walk over all cached prompts: not for every token.
  if (!std::exchange(pages_moved, false)) return;
  stats.cache_tokens_used =
      (index_t{pages.size()} - pages.num_free() - prefixes.num_evictable()) * kernels::kAttentionPage;
}

}  // namespace hadal
