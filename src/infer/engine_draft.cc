// Speculation: what an answer tries besides its last token.
#include <algorithm>

#include "infer/engine_impl.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

constexpr index_t kMostUnread = 256;  // states that an answer keeps while its MTP layer rests

}  // namespace

/// Fills the proposals of all answers. The depth at which the MTP layer drafted for every one of them, -1 where there
/// is none such.
int Engine::Impl::propose() {
  int answers = 0;
  for_each_answer([&](const Job&, const Answer&) { ++answers; });
  if (answers == 0) return -1;
  const int most = with_mtp ? depth.next(answers) : 0;
  bool alike = with_mtp;
  std::vector<Guess> guesses;
  for_each_answer([&](Job& job, Answer& a) {
    a.proposal.clear();
    const index_t left =
        job.request.stop.max_tokens - std::ssize(a.tokens) - 1;  // after the token that is drawn anyway
    const bool may = job.request.speculate && job.todo(a) == 1 && a.forced.empty();
    if (a.draft && may) a.proposal = a.draft->propose(static_cast<int>(left));
    if (!with_mtp) return;
    int wanted = may ? static_cast<int>(std::min<index_t>(most, left)) : 0;
    if (wanted > 0 && !grow(a, a.length + 1 + wanted)) wanted = 0;
    alike = alike && wanted == most;
    if (wanted > 0 || a.unread.size() >= kMostUnread) guesses.push_back({&job, &a, wanted});
  });
  // A guess that needs a page which is not there is no reason to take one from another request.
  for_each_answer([&](Job&, Answer& a) {
    if (!grow(a, a.length + 1 + std::ssize(a.proposal))) a.proposal.clear();
  });
  if (!guesses.empty()) guess(std::move(guesses));
  return alike ? most : -1;
}

/// The MTP layer reads what it has not read yet, then guesses token by token; each guess follows from the state that it
/// made of the one before (DeepSeek-V3 report 5.4.3 with one guess). The entries of guesses are overwritten when it
/// reads the tokens that came.
void Engine::Impl::guess(std::vector<Guess> guesses) {
  const ArenaScope scope(ctx.scratch);
  const index_t hidden_size = model.config().hidden_size;
  std::vector<int> next_ids;
  std::vector<SequenceSlice> slices;
  for (const Guess& g : guesses) {
    const index_t count = g.answer->unread.size(), begin = g.answer->length - count;
    slices.push_back({begin, count, g.answer->pages, model.config().uses_mla()});
    for (index_t i = 0; i < count; ++i) next_ids.push_back(g.job->token_at(*g.answer, begin + i + 1));
  }
  const View unread = ctx.temp(std::ssize(next_ids), hidden_size), read = ctx.temp(std::ssize(next_ids), hidden_size);
  index_t row = 0;
  for (const Guess& g : guesses) {
    const index_t count = g.answer->unread.size();
    copy_rows(unread.slice_rows(row, count), g.answer->unread.view());
    row += count;
  }
  model.mtp_forward(ctx, read, unread, next_ids, cache, slices);

  // `states` of the answers that go on, one row each.
  View states = ctx.temp(std::ssize(guesses), hidden_size);
  std::vector<Guess> open;
  row = 0;
  for (const Guess& g : guesses) {
    row += g.answer->unread.size();
    g.answer->unread.clear();
    if (g.wanted == 0) continue;
    copy_rows(states.slice_rows(std::ssize(open), 1), read.slice_rows(row - 1, 1));
    open.push_back(g);
  }
  for (index_t ahead = 0; !open.empty(); ++ahead) {
    states = states.slice_rows(0, std::ssize(open));
    const View logits = ctx.temp_wide(states.rows, model.config().vocab_size);
    model.logits(ctx, logits, states);
    const View last = ctx.temp(states.rows, hidden_size), next = ctx.temp(states.rows, hidden_size);
    std::vector<Guess> still;
    next_ids.clear(), slices.clear();
    for (index_t i = 0; i < states.rows; ++i) {
      const Guess& g = open[static_cast<std::size_t>(i)];
      const int token = guess_token(g, logits.slice_rows(i, 1).flat<float>());
      if (token < 0) continue;
      g.answer->proposal.push_back(token);
      if (std::ssize(g.answer->proposal) == g.wanted) continue;
      copy_rows(last.slice_rows(std::ssize(still), 1), states.slice_rows(i, 1));
      slices.push_back({g.answer->length + ahead, 1, g.answer->pages, model.config().uses_mla()});
      next_ids.push_back(token);
      still.push_back(g);
    }
    open = std::move(still);
    if (open.empty()) break;
    states = next.slice_rows(0, std::ssize(open));
    model.mtp_forward(ctx, states, last.slice_rows(0, std::ssize(open)), next_ids, cache, slices);
  }
}

/// The token that would be drawn if these were the model's logits: with the random number of its place, so that a good
/// guess of the distribution is a good guess of the token. -1: none.
int Engine::Impl::guess_token(const Guess& g, std::span<const float> logits_V) {
  Answer& a = *g.answer;
  const auto position = static_cast<std::uint64_t>(a.length) + 1 + a.proposal.size();
  try {
    return a.sampler->choose(logits_V, position, -1).id;
  } catch (const Error&) {
    return -1;
  }
}

}  // namespace hadal
