#pragma once
// A request at work, and its answers.
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "infer/ngram_draft.h"
#include "infer/repetition_guard.h"
#include "infer/request.h"
#include "infer/sampler.h"
#include "infer/state_rows.h"
#include "infer/text_output.h"
#include "infer/thinking.h"
#include "nn/cache.h"

namespace hadal {

using Clock = std::chrono::steady_clock;
inline double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

/// One answer of a request, from its first token on.
struct Answer {
  int choice = 0;
  std::vector<int> pages;   // of the prompt and of the tokens so far; more are taken as it grows
  index_t length = 0;       // tokens in the cache; after a preemption fewer than there are
  std::vector<int> tokens;  // drawn; the last one is not in the cache yet
  std::optional<Sampler> sampler;
  std::optional<TextOutput> text;
  std::optional<ThinkingWatch> thinking;
  std::optional<RepetitionGuard> repetition;
  std::deque<int> forced;           // what comes next whatever the model says
  std::optional<NgramDraft> draft;  // with n-gram speculation
  StateRows unread;                 // with MTP speculation: states of the last tokens, which its layer has not read yet
  std::vector<int> proposal;        // tokens that this step tries besides the last one
  std::int64_t drafted = 0, accepted = 0;
  bool thinking_cut = false, over = false;
};

/// A request at work: its prompt goes through the model piece by piece, then its answers decode. When its pages are
/// taken from it, it waits again, and its tokens so far go through the model again in the same way.
struct Job {
  std::uint64_t id = 0;
  Request request;
  std::vector<int> pages;  // of the prompt, until its answers take them
  index_t done = 0;        // tokens of the prompt in the cache
  index_t reused = 0;      // of these, found there
  index_t reported = 0;    // tokens of the prompt whose logprobs were sent
  std::vector<Answer> answers;
  Clock::time_point submitted, admitted, prefilled;

  index_t prompt_size() const { return static_cast<index_t>(request.prompt.size()); }
  bool prefilling() const { return done < prompt_size(); }
  bool over() const {
    for (const Answer& a : answers)
      if (!a.over) return false;
    return !prefilling();
  }
  /// The token at a place of prompt and answer.
  int token_at(const Answer& a, index_t position) const {
    return position < prompt_size() ? request.prompt[static_cast<std::size_t>(position)]
                                    : a.tokens[static_cast<std::size_t>(position - prompt_size())];
  }
  /// Tokens of prompt and answer that are not in the cache: 1, but after a preemption.
  index_t todo(const Answer& a) const { return prompt_size() + std::ssize(a.tokens) - a.length; }
  /// Whether this one goes first.
  bool before(const Job& other) const {
    const int mine = request.priority, its = other.request.priority;
    return mine != its ? mine > its : id < other.id;
  }
};

/// Pages that the whole of a request may come to take: the prompt once, and what each answer writes itself.
inline int pages_needed(const Request& r) {
  const auto prompt = static_cast<index_t>(r.prompt.size());
  const int shared = static_cast<int>(prompt / kernels::kAttentionPage);
  return shared + r.n * (pages_of(prompt + r.stop.max_tokens) - shared);
}

}  // namespace hadal
