#pragma once
// The inside of the engine: included by its source files only.
#include <deque>

#include "infer/chunk_pacer.h"
#include "infer/draft_depth.h"
#include "infer/engine.h"
#include "infer/job.h"
#include "infer/prefix_cache.h"

namespace hadal {

struct Engine::Impl {
  Impl(Context& c, Model& m, const Tokenizer* t, const EngineOptions& o);

  struct Guess {  // an answer whose next tokens the MTP layer guesses
    Job* job;
    Answer* answer;
    int wanted;
  };
  struct Part {  // rows of one sequence in the pass of a step
    Job* job;
    Answer* answer;  // nullptr: a piece of the prompt
    index_t first_row, length;
    // Of its last rows, which predict what is not known: its own place in the logits of the step. An answer's proposal
    // has one each; a part that ends before the end of what is known has none.
    index_t first_logits, num_logits;
  };
  struct Drawn {
    Sampler::Choice choice;
    std::string error;  // no token can be drawn
  };
  struct Batch {
    std::vector<int> ids;
    std::vector<SequenceSlice> slices;
    std::vector<Part> parts;
    index_t num_logits = 0;
    void add(Job* job, Answer* answer, index_t length, index_t num_logits_of_part);
  };

  // Who takes part: engine_queue.cc.
  void take_orders();
  void enqueue(std::unique_ptr<Job> job);
  void admit_waiting();
  bool admit(Job& job);
  void make_answers(Job& job);
  void grow_answers();
  bool grow(Job& job);
  bool grow(Answer& answer, index_t tokens);
  void preempt(Job& job);
  void release(Answer& answer);
  void release(Job& job);
  void remember(const Job& job, const Answer& answer);
  void drop_finished();
  void update_stats();
  // What each answer tries besides its last token: engine_draft.cc.
  int propose();
  void guess(std::vector<Guess> guesses);
  int guess_token(const Guess& g, std::span<const float> logits_V);
  // The pass over the model: engine_step.cc.
  void run_batch();
  Batch plan_batch();
  View logits_of(const Batch& batch, ConstView hidden_TD);
  std::vector<Drawn> draw_all(const Batch& batch, ConstView logits_TV);
  void read_prompt(const Part& part, ConstView hidden_TD);
  void fork_answers(Job& job);
  // Tokens: engine_answer.cc.
  Drawn draw(const Job& job, Answer& answer, std::span<const float> logits_V) const;
  Sampler::Choice choose(const Job& job, Answer& answer, std::span<const float> logits_V) const;
  index_t take_proposed(Job& job, Answer& answer, Drawn first, ConstView logits_TV);
  void take(Job& job, Answer& answer, Drawn drawn);
  FinishReason watch(Answer& answer, const TokenEvent& event);
  void end_thinking(Answer& answer);
  void end(Job& job, Answer& answer, FinishReason reason, TokenEvent event);
  void end_all(Job& job, FinishReason reason, const std::string& error);

  /// Calls f(job, answer) for the answers that decode.
  template <class F>
  void for_each_answer(F&& f) {
    for (const std::unique_ptr<Job>& job : running)
      if (!job->prefilling())
        for (Answer& a : job->answers)
          if (!a.over) f(*job, a);
  }

  Context& ctx;
  Model& model;
  const Tokenizer* tokenizer;
  EngineOptions options;
  std::int64_t context;
  bool with_mtp;  // the cache of the MTP layer is filled
  KvCache cache;
  PagePool pages;
  PrefixCache prefixes;
  DraftDepth depth;
  ChunkPacer pacer;
  std::deque<std::unique_ptr<Job>> waiting;  // as they will be admitted
  std::vector<std::unique_ptr<Job>> running;
  // The request that did not fit, and PagePool::num_releases() then.
  std::pair<std::uint64_t, std::int64_t> did_not_fit{0, 0};
  bool pages_moved = false;  // requests took or gave back pages since update_stats

  std::mutex mutex;  // guards what follows
  std::vector<std::unique_ptr<Job>> orders;
  std::vector<std::uint64_t> cancels;
  std::uint64_t last_id = 0;
  std::int64_t queued = 0;  // in orders and waiting
  EngineStats stats;
};

}  // namespace hadal
