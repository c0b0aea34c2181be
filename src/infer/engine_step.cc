// The pass over the model that a step makes.
#include <algorithm>

#include "base/mapping_guard.h"
#include "infer/engine_impl.h"
#include "infer/prompt_logprobs.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

/// The first `length` entries of a page.
void copy_page(KvCache& cache, int to, int from, index_t length) {
  for (Tensor& layer : cache.storage) {  // with the scales behind rows of 8 bits
    const auto rows = [&](int page) { return layer.view().slice_rows(page * kernels::kAttentionPage, length); };
    copy_rows(rows(to), rows(from));
  }
}

}  // namespace

/// A token of every answer with what it proposes, then pieces of prompts in the order of their admission. What
/// preempted answers had drawn goes through again as it did at first, in the form of decoding, but many tokens at once.
Engine::Impl::Batch Engine::Impl::plan_batch() {
  Batch batch;
  bool decodes = false;
  for_each_answer([&](const Job&, const Answer&) { decodes = true; });
  index_t budget = decodes ? pacer.chunk() : options.prefill_chunk;
  for_each_answer([&](Job& job, Answer& a) {
    const index_t todo = job.todo(a), known = todo == 1 ? 1 : std::min(todo, std::max<index_t>(budget, 1));
    if (todo > 1) budget = std::max<index_t>(budget - known, 0);
    const index_t length = known + std::ssize(a.proposal);
    batch.parts.push_back({&job, &a, std::ssize(batch.ids), length, known == todo});
    batch.slices.push_back({a.length, length, a.pages, model.config().uses_mla()});
    for (index_t i = 0; i < known; ++i) batch.ids.push_back(job.token_at(a, a.length + i));
    batch.ids.insert(batch.ids.end(), a.proposal.begin(), a.proposal.end());
  });
  for (const std::unique_ptr<Job>& job : running) {
    if (!job->prefilling() || budget == 0) continue;
    const index_t length = std::min(budget, job->prompt_size() - job->done);
    batch.parts.push_back(
        {job.get(), nullptr, std::ssize(batch.ids), length, job->done + length == job->prompt_size()});
    batch.slices.push_back({job->done, length, job->pages, false});
    const auto begin = job->request.prompt.begin() + job->done;
    batch.ids.insert(batch.ids.end(), begin, begin + length);
    budget -= length;
  }
  return batch;
}

void Engine::Impl::run_batch() {
  grow_answers();
  if (running.empty()) return;
  const auto begin = Clock::now();
  const int drafted = propose();
  const Batch batch = plan_batch();

  const ArenaScope scope(ctx.scratch);
  const index_t hidden_size = model.config().hidden_size;
  const View hidden = ctx.temp(std::ssize(batch.ids), hidden_size);
  model.forward(ctx, hidden, batch.ids, cache, batch.slices);
  // Rows whose logits are wanted: the last one of a part that draws, and those of its proposal.
  const auto rows_wanted = [](const Part& p) -> index_t {
    if (!p.draws) return 0;
    return p.answer != nullptr ? 1 + std::ssize(p.answer->proposal) : 1;
  };
  std::vector<index_t> first_row = {0};
  for (const Part& p : batch.parts) first_row.push_back(first_row.back() + rows_wanted(p));
  const index_t num_parts = std::ssize(batch.parts), num_wanted = first_row.back();
  const View wanted = ctx.temp(num_wanted, hidden_size), logits = ctx.temp_wide(num_wanted, model.config().vocab_size);
  const auto part = [&](index_t i) -> const Part& { return batch.parts[static_cast<std::size_t>(i)]; };
  const auto rows_of = [&](View v, index_t i) {
    const auto at = static_cast<std::size_t>(i);
    return v.slice_rows(first_row[at], first_row[at + 1] - first_row[at]);
  };
  for (index_t i = 0; i < num_parts; ++i) {
    const View to = rows_of(wanted, i);
    copy_rows(to, hidden.slice_rows(part(i).first_row + part(i).length - to.rows, to.rows));
  }
  if (num_wanted > 0) model.logits(ctx, logits, wanted);
  check_mapped_files();
  std::vector<Drawn> drawn(batch.parts.size());
  ctx.exec.pool.parallel_for(num_parts, [&](index_t i, int) {
    const Part& p = part(i);
    if (p.answer != nullptr && p.draws)
      drawn[static_cast<std::size_t>(i)] = draw(*p.job, *p.answer, rows_of(logits, i).slice_rows(0, 1).flat<float>());
  });

  index_t prompt_tokens = 0, answers = 0;
  for (index_t i = 0; i < num_parts; ++i) {
    const Part& p = part(i);
    const ConstView states = hidden.slice_rows(p.first_row, p.length), rows = rows_of(logits, i);
    if (p.answer == nullptr) {
      prompt_tokens += p.length;
      read_prompt(p, states);
      if (!p.draws) continue;
      fork_answers(*p.job);
      for (Answer& a : p.job->answers) {
        if (with_mtp && !a.over) a.unread.append(states.slice_rows(p.length - 1, 1));
        if (!a.over && a.tokens.empty()) take(*p.job, a, draw(*p.job, a, rows.flat<float>()));
      }
      continue;
    }
    ++answers;
    Answer& a = *p.answer;
    const index_t known = p.length - std::ssize(a.proposal);
    a.length += known;
    const index_t right = p.draws ? take_proposed(*p.job, a, std::move(drawn[static_cast<std::size_t>(i)]), rows) : 0;
    if (with_mtp) a.unread.append(states.slice_rows(0, known + right));
  }

  const double seconds = seconds_between(begin, Clock::now());
  if (answers > 0 && prompt_tokens > 0) pacer.took(static_cast<int>(prompt_tokens), seconds);
  if (prompt_tokens == 0 && drafted >= 0) depth.took(static_cast<int>(answers), drafted, seconds);
}

/// A piece of a prompt is in the cache: its log-probabilities, and its entries of the MTP layer. These need the token
/// after each, so that of the last one is left to the answers.
void Engine::Impl::read_prompt(const Part& p, ConstView hidden_TD) {
  Job& job = *p.job;
  const index_t begin = job.done, end = begin + p.length;
  job.done = end;
  if (job.request.prompt_logprobs && end > job.reported && !job.answers.front().over) {
    const index_t skip = std::max<index_t>(job.reported - begin, 0);
    send_prompt_logprobs(ctx, model, hidden_TD.slice_rows(skip, p.length - skip), job.id, job.request, begin + skip);
    job.reported = end;
  }
  const index_t length = std::min(p.length, job.prompt_size() - 1 - begin);
  if (!with_mtp || length == 0) return;
  const ArenaScope scope(ctx.scratch);
  const auto next_ids = std::span<const int>(job.request.prompt)
                            .subspan(static_cast<std::size_t>(begin + 1), static_cast<std::size_t>(length));
  const SequenceSlice slice{begin, length, job.pages, false};
  model.mtp_forward(ctx, ctx.temp(length, hidden_TD.cols), hidden_TD.slice_rows(0, length), next_ids, cache,
                    {&slice, 1});
}

/// The prompt is in the cache: its answers begin, and later prompts may find it.
void Engine::Impl::fork_answers(Job& job) {
  const auto whole = static_cast<std::size_t>(job.prompt_size() / kernels::kAttentionPage);
  const index_t rest = job.prompt_size() % kernels::kAttentionPage;
  for (Answer& a : job.answers) {
    if (a.over) continue;
    a.length = job.prompt_size();
    if (a.choice > 0 && rest > 0) copy_page(cache, a.pages[whole], job.pages[whole], rest);
  }
  if (options.prefix_cache) prefixes.insert(job.request.prompt, job.pages);
  for (const int page : job.pages) pages.release(page);
  job.pages.clear();
  if (job.prefilled == Clock::time_point()) job.prefilled = Clock::now();
}

}  // namespace hadal
