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

void Engine::Impl::Batch::add(Job* job, Answer* answer, index_t length, index_t num_logits_of_part) {
  parts.push_back({job, answer, std::ssize(ids), length, num_logits, num_logits_of_part});
  num_logits += num_logits_of_part;
}

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
    const index_t proposed = std::ssize(a.proposal), length = known + proposed;
    batch.add(&job, &a, length, known == todo ? 1 + proposed : 0);
    batch.slices.push_back({a.length, length, a.pages, model.config().uses_mla()});
    for (index_t i = 0; i < known; ++i) batch.ids.push_back(job.token_at(a, a.length + i));
    batch.ids.insert(batch.ids.end(), a.proposal.begin(), a.proposal.end());
  });
  for (const std::unique_ptr<Job>& job : running) {
    if (!job->prefilling() || budget == 0) continue;
    const index_t length = std::min(budget, job->prompt_size() - job->done);
    batch.add(job.get(), nullptr, length, job->done + length == job->prompt_size() ? 1 : 0);
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
  const ConstView logits = logits_of(batch, hidden);
  check_mapped_files();
  std::vector<Drawn> drawn = draw_all(batch, logits);

  index_t prompt_tokens = 0, answers = 0;
  for (std::size_t i = 0; i < batch.parts.size(); ++i) {
    const Part& p = batch.parts[i];
    const ConstView states = hidden.slice_rows(p.first_row, p.length),
                    rows = logits.slice_rows(p.first_logits, p.num_logits);
    if (p.answer == nullptr) {
      prompt_tokens += p.length;
      read_prompt(p, states);
      if (p.num_logits == 0) continue;
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
    const index_t right = p.num_logits > 0 ? take_proposed(*p.job, a, std::move(drawn[i]), rows) : 0;
    if (with_mtp) a.unread.append(states.slice_rows(0, known + right));
  }

  const double seconds = seconds_between(begin, Clock::now());
  if (answers > 0 && prompt_tokens > 0) pacer.took(static_cast<int>(prompt_tokens), seconds);
  if (prompt_tokens == 0 && drafted >= 0) depth.took(static_cast<int>(answers), drafted, seconds);
}

/// Lives until the scratch of the step goes.
View Engine::Impl::logits_of(const Batch& batch, ConstView hidden_TD) {
  const View wanted = ctx.temp(batch.num_logits, hidden_TD.cols),
             logits = ctx.temp_wide(batch.num_logits, model.config().vocab_size);
  for (const Part& p : batch.parts)
    copy_rows(wanted.slice_rows(p.first_logits, p.num_logits),
              hidden_TD.slice_rows(p.first_row + p.length - p.num_logits, p.num_logits));
  if (batch.num_logits > 0) model.logits(ctx, logits, wanted);
  return logits;
}

/// The next token of every answer. Those of a prompt that ends here wait until it has answers.
std::vector<Engine::Impl::Drawn> Engine::Impl::draw_all(const Batch& batch, ConstView logits_TV) {
  std::vector<Drawn> drawn(batch.parts.size());
  ctx.exec.pool.parallel_for(std::ssize(batch.parts), [&](index_t i, int) {
    const Part& p = batch.parts[static_cast<std::size_t>(i)];
    if (p.answer != nullptr && p.num_logits > 0)
      drawn[static_cast<std::size_t>(i)] =
          draw(*p.job, *p.answer, logits_TV.slice_rows(p.first_logits, 1).flat<float>());
  });
  return drawn;
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
