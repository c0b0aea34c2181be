#pragma once
// A request at work, and its answers.
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "infer/ngram_draft.h"
#include "infer/request.h"
#include "infer/sampler.h"
#include "infer/text_output.h"
#include "nn/cache.h"

namespace hadal {

using Clock = std::chrono::steady_clock;
inline double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

/// One answer of a request, from its first token on.
struct Answer {
  int choice = 0;
  std::vector<int> pages;   // of the prompt and of all tokens it may come to
  index_t length = 0;       // tokens in the cache
  std::vector<int> tokens;  // drawn; the last one is not in the cache yet
  std::optional<Sampler> sampler;
  std::optional<TextOutput> text;
  std::optional<NgramDraft> draft;  // with speculation
  std::vector<int> proposal;        // tokens that this step tries besides the last one
  std::int64_t drafted = 0, accepted = 0;
  bool over = false;
};

/// A request that has its pages: its prompt goes through the model piece by piece, then its answers decode.
struct Job {
  std::uint64_t id = 0;
  Request request;
  std::vector<int> pages;  // of the prompt, until its answers take them
  index_t done = 0;        // tokens of the prompt in the cache
  index_t reused = 0;      // of these, found there
  std::vector<Answer> answers;
  Clock::time_point submitted, admitted, prefilled;

  index_t prompt_size() const { return static_cast<index_t>(request.prompt.size()); }
  bool prefilling() const { return done < prompt_size(); }
  bool over() const {
    for (const Answer& a : answers)
      if (!a.over) return false;
    return !prefilling();
  }
};

/// Pages that the whole of a request takes: the prompt once, and what each answer writes itself.
inline int pages_needed(const Request& r) {
  const auto prompt = static_cast<index_t>(r.prompt.size());
  const int shared = static_cast<int>(prompt / kernels::kAttentionPage);
  return shared + r.n * (pages_of(prompt + r.stop.max_tokens) - shared);
}

}  // namespace hadal
