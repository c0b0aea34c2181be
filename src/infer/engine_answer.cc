// From logits to the tokens of an answer, and to its end.
#include <algorithm>

#include "infer/engine_impl.h"

namespace hadal {
namespace {

bool contains(std::span<const int> ids, int id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

/// Takes the next token, drawn from the first row, and draws from the rows of the proposal for as long as it guessed
/// right; how many it did. What is drawn depends on logits and position alone, so this is what one token a step would
/// have given.
index_t Engine::Impl::take_proposed(Job& job, Answer& a, Drawn first, ConstView logits_TV) {
  index_t right = 0;
  const index_t proposed = std::ssize(a.proposal);
  a.drafted += proposed;  // at once: the event that ends the answer tells them
  take(job, a, std::move(first));
  while (!a.over && right < proposed && a.tokens.back() == a.proposal[static_cast<std::size_t>(right)]) {
    ++right, ++a.accepted, ++a.length;
    take(job, a, draw(job, a, logits_TV.slice_rows(right, 1).flat<float>()));
  }
  if (a.draft)
    a.draft->judge(static_cast<int>(proposed), static_cast<int>(right));
  else if (!a.over)
    depth.verified(static_cast<int>(proposed), static_cast<int>(right));
  return right;
}

/// Changes nothing but the answer's sampler and forced tokens: many answers may draw at once.
Engine::Impl::Drawn Engine::Impl::draw(const Job& job, Answer& a, std::span<const float> logits_V) const {
  Drawn drawn;
  if (job.request.stop.max_tokens == 0) return drawn;
  try {
    drawn.choice = choose(job, a, logits_V);
  } catch (const Error& error) {
    drawn.error = error.what();
  }
  return drawn;
}

/// The drawn token becomes part of the answer, or ends it.
void Engine::Impl::take(Job& job, Answer& a, Drawn drawn) {
  const Request& r = job.request;
  TokenEvent event;
  event.request = job.id, event.choice = a.choice, event.error = std::move(drawn.error);
  if (!event.error.empty()) return end(job, a, FinishReason::kError, std::move(event));
  if (r.stop.max_tokens == 0) return end(job, a, FinishReason::kLength, std::move(event));
  event.token = drawn.choice.id, event.logprob = {drawn.choice.id, drawn.choice.logprob};
  event.top = std::move(drawn.choice.top);
  a.sampler->accept(event.token);
  a.tokens.push_back(event.token);
  if (a.draft) a.draft->add(event.token);
  const bool stops =
      (!r.stop.ignore_eos && contains(model.config().eos_token_ids, event.token)) || contains(r.stop.ids, event.token);
  if (stops) return end(job, a, FinishReason::kStop, std::move(event));
  if (a.text) {
    TextOutput::Piece piece = a.text->push(event.token);
    event.text = std::move(piece.text);
    if (piece.stopped) {
      a.text.reset();  // what it holds back is the stop text
      return end(job, a, FinishReason::kStop, std::move(event));
    }
  }
  FinishReason reason = watch(a, event);
  if (reason == FinishReason::kNone && std::ssize(a.tokens) == r.stop.max_tokens) reason = FinishReason::kLength;
  if (reason != FinishReason::kNone) return end(job, a, reason, std::move(event));
  if (r.sink) r.sink(event);
}

Sampler::Choice Engine::Impl::choose(const Job& job, Answer& a, std::span<const float> logits_V) const {
  const Request& r = job.request;
  if (!a.forced.empty()) {
    const int id = a.forced.front();
    a.forced.pop_front();
    return a.sampler->impose(id, logits_V, r.logprobs);
  }
  const auto count = static_cast<int>(a.tokens.size());
  if (count < r.stop.min_tokens) {
    if (!r.stop.ignore_eos) a.sampler->ban(model.config().eos_token_ids);
    a.sampler->ban(r.stop.ids);
  }
  return a.sampler->choose(logits_V, static_cast<std::uint64_t>(job.prompt_size() + count), r.logprobs);
}

/// Ends thinking that is too long or goes round in circles, and answers that do the latter.
FinishReason Engine::Impl::watch(Answer& a, const TokenEvent& event) {
  if (a.thinking) a.thinking->push(event.token, event.text);
  const bool repeats = a.repetition && a.repetition->push(event.token);
  if (!a.forced.empty()) return FinishReason::kNone;
  if (a.thinking && (a.thinking->spent() || (repeats && a.thinking->inside())))
    end_thinking(a);
  else if (repeats)
    return FinishReason::kRepetition;
  return FinishReason::kNone;
}

void Engine::Impl::end_thinking(Answer& a) {
  const std::vector<int>& ids = a.thinking->end_ids();
  a.forced.assign(ids.begin(), ids.end());
  a.thinking_cut = true;
  if (a.repetition) a.repetition->restart();
}

void Engine::Impl::end(Job& job, Answer& a, FinishReason reason, TokenEvent event) {
  const auto now = Clock::now();
  a.over = true;
  if (a.text) event.text += a.text->finish();
  event.finish = reason;
  event.usage = {.prompt_tokens = job.prompt_size(),
                 .cached_tokens = job.reused,
                 .completion_tokens = std::ssize(a.tokens),
                 .thinking_tokens = a.thinking ? a.thinking->tokens() : 0,
                 .thinking_cut = a.thinking_cut,
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

}  // namespace hadal
