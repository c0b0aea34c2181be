// Which requests are at work, and the pages of the cache that they have.
#include <algorithm>
#include <utility>

#include "infer/engine_impl.h"

namespace hadal {

/// New requests join the queue, cancelled ones leave.
void Engine::Impl::take_orders() {
  std::vector<std::uint64_t> cancelled;
  std::vector<std::unique_ptr<Job>> arrived;
  {
    const std::lock_guard lock(mutex);
    arrived.swap(orders);
    cancelled.swap(cancels);
  }
  for (std::unique_ptr<Job>& job : arrived) enqueue(std::move(job));
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

void Engine::Impl::enqueue(std::unique_ptr<Job> job) {
  const auto later = [&](const std::unique_ptr<Job>& other) { return job->before(*other); };
  waiting.insert(std::find_if(waiting.begin(), waiting.end(), later), std::move(job));
}

void Engine::Impl::admit_waiting() {
  int answers = 0;
  for (const std::unique_ptr<Job>& job : running) answers += job->request.n;
  while (!waiting.empty() && answers + waiting.front()->request.n <= options.max_batch) {
    Job& next = *waiting.front();
    // Nobody gave a page back since it did not fit: it still does not.
    if (did_not_fit == std::pair(next.id, pages.num_releases())) break;
    if (!admit(next)) {
      did_not_fit = {next.id, pages.num_releases()};
      break;
    }
    answers += next.request.n;
    pages_moved = true;
    running.push_back(std::move(waiting.front()));
    waiting.pop_front();
    const std::lock_guard lock(mutex);
    --queued;
  }
}

/// Gives a request the pages of its prompt. Its answers take further ones as they grow; while others run, one for each
/// answer is left to them, so that a request is not admitted only to be preempted.
bool Engine::Impl::admit(Job& job) {
  const Request& r = job.request;
  // The last token of the prompt is always computed: its logits are needed.
  if (options.prefix_cache && !r.prompt_logprobs)
    job.pages = prefixes.find(std::span(r.prompt).first(r.prompt.size() - 1));
  const auto reused = static_cast<int>(job.pages.size());
  const bool partial =
      job.prompt_size() % kernels::kAttentionPage != 0;  // the answers but the first copy the last page
  int needed = pages_of(job.prompt_size()) - reused + (partial ? r.n - 1 : 0);
  if (!running.empty()) {
    needed += r.n;
    for (const std::unique_ptr<Job>& other : running) needed += other->request.n;
  }
  if (!prefixes.make_room(needed)) {
    for (const int page : job.pages) pages.release(page);
    job.pages.clear();
    return false;
  }
  job.done = index_t{reused} * kernels::kAttentionPage;
  while (static_cast<int>(job.pages.size()) < pages_of(job.prompt_size())) job.pages.push_back(pages.take());
  if (job.answers.empty()) make_answers(job), job.reused = job.done;
  for (Answer& a : job.answers) {
    if (a.over) continue;
    // The first answer goes on in the prompt's pages; the others share the whole ones and get a copy of the last.
    const auto shared = static_cast<std::ptrdiff_t>(job.pages.size()) - (a.choice > 0 && partial ? 1 : 0);
    a.pages.assign(job.pages.begin(), job.pages.begin() + shared);
    for (const int page : a.pages) pages.share(page);
    if (a.choice > 0 && partial) a.pages.push_back(pages.take());
  }
  if (job.admitted == Clock::time_point()) job.admitted = Clock::now();
  return true;
}

void Engine::Impl::make_answers(Job& job) {
  const Request& r = job.request;
  for (int c = 0; c < r.n; ++c) {
    Answer& a = job.answers.emplace_back();
    a.choice = c;
    SamplingParams sampling = r.sampling;
    sampling.seed += static_cast<std::uint64_t>(c);
    a.sampler.emplace(sampling, r.prompt, model.config().vocab_size);
    const bool ngram = options.speculation == "ngram" || (options.speculation == "auto" && !with_mtp);
    if (ngram && r.speculate) a.draft.emplace(r.prompt);
    if (tokenizer != nullptr) a.text.emplace(*tokenizer, r.stop.texts, true, r.stop.min_tokens);
    if (r.stop.repetition_guard > 0) a.repetition.emplace(r.stop.repetition_guard);
    if (!r.thinking) continue;
    a.thinking.emplace(*tokenizer, *r.thinking);
    if (a.thinking->spent()) end_thinking(a);
  }
}

/// Pages for what the answers write next. Where there are none left, the requests that come last give theirs back: the
/// first one always gets on.
void Engine::Impl::grow_answers() {
  std::vector<Job*> order;
  for (const std::unique_ptr<Job>& job : running) order.push_back(job.get());
  std::ranges::sort(order, [](const Job* a, const Job* b) { return a->before(*b); });
  for (std::size_t i = 0; i < order.size(); ++i)
    while (!grow(*order[i])) {
      if (order.size() == 1) {  // equal prompts that ran at the same time may pin pages in the tree
        prefixes.clear();
        HADAL_CHECK(grow(*order[i]), "cache: ", pages.size(), " pages do not hold one request");
        break;
      }
      preempt(*order.back());
      order.pop_back();
      if (i == order.size()) return;
    }
}

bool Engine::Impl::grow(Job& job) {
  if (job.prefilling()) return true;
  return std::ranges::all_of(job.answers, [&](Answer& a) { return a.over || grow(a, a.length + job.todo(a)); });
}

/// Pages for so many tokens. False: there are none left, and the answer keeps what it has.
bool Engine::Impl::grow(Answer& a, index_t tokens) {
  while (static_cast<int>(a.pages.size()) < pages_of(tokens)) {
    if (!prefixes.make_room(1)) return false;
    a.pages.push_back(pages.take());
    pages_moved = true;
  }
  return true;
}

/// Takes all pages from a request; it waits again.
void Engine::Impl::preempt(Job& job) {
  release(job);
  job.done = 0;
  for (Answer& a : job.answers) {
    a.length = 0;
    a.unread.clear();
  }
  const auto at = std::ranges::find_if(running, [&](const std::unique_ptr<Job>& j) { return j.get() == &job; });
  enqueue(std::move(*at));
  running.erase(at);
  const std::lock_guard lock(mutex);
  ++queued, ++stats.preempted;
}

void Engine::Impl::release(Answer& a) {
  if (a.pages.empty()) return;
  for (const int page : a.pages) pages.release(page);
  a.pages.clear();
  pages_moved = true;
}

void Engine::Impl::release(Job& job) {
  for (const int page : job.pages) pages.release(page);
  job.pages.clear();
  for (Answer& a : job.answers) release(a);
}

/// Later prompts that go on where an answer ended find its pages. With latent attention these hold what decoding
/// rounded, not what a prompt would have: only when asked for, or when the cache keeps every head.
void Engine::Impl::remember(const Job& job, const Answer& a) {
  const bool as_prefilled = !model.config().uses_mla() || cache.layers.front().per_head;
  if (!options.prefix_cache || !(as_prefilled || options.reuse_answers)) return;
  std::vector<int> tokens = job.request.prompt;
  tokens.insert(tokens.end(), a.tokens.begin(), a.tokens.end());
  const index_t known = a.length - a.unread.size();  // by the MTP layer, too
  if (known > job.prompt_size()) prefixes.insert(std::span(tokens).first(static_cast<std::size_t>(known)), a.pages);
}

/// Answers that are over give their pages back, requests that are over leave.
void Engine::Impl::drop_finished() {
  for (const std::unique_ptr<Job>& job : running)
    for (Answer& a : job->answers) {
      if (!a.over || a.pages.empty()) continue;
      if (!job->prefilling()) remember(*job, a);
      release(a);
    }
  std::erase_if(running, [&](const std::unique_ptr<Job>& job) {
    if (!job->over()) return false;
    release(*job);
    const std::lock_guard lock(mutex);
    ++stats.finished;
    stats.prompt_tokens += job->prompt_size();
    stats.cached_tokens += job->reused;
    for (const Answer& a : job->answers) {
      stats.completion_tokens += std::ssize(a.tokens);
      stats.drafted_tokens += a.drafted, stats.accepted_tokens += a.accepted;
    }
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
